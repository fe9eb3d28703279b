//! Thousands of worlds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use notifier::deliver::Auth;

use crate::invariants;
use crate::run::{self, Seen};
use crate::secrets;
use crate::world::{Form, World};

/// Seeds of a run that names no number.
const SEEDS: u64 = 200;
/// Worlds at the same time: they wait more than they work.
const AT_ONCE: u64 = 4;

#[expect(clippy::disallowed_methods, reason = "how a person or a job chooses seeds")]
fn number(name: &str) -> Option<u64> {
    // Variables that `make` did not get are empty.
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The most memory that this process may have taken: daemons, simulators and receivers of all worlds, whatever their number.
const RESIDENT_KIB_MAX: u64 = 400 * 1024;

/// The most memory that this process had resident at any time, in KiB; `None` where the system does not say.
fn resident_kib_most() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The result of many seeds.
#[derive(Default)]
struct Total {
    worlds: u64,
    /// Worlds of the direct form.
    direct: u64,
    broadcasts: usize,
    /// Those in waves, those of them that were stopped, and pauses that somebody ended.
    paced: usize,
    halted: usize,
    continued: usize,
    tasks: usize,
    calls: usize,
    daemons: usize,
    /// Runs of the direct form, by how they ended.
    runs: BTreeMap<&'static str, u64>,
    stopped: usize,
    struck: BTreeMap<(String, &'static str), u64>,
    failed: Vec<u64>,
}

impl Total {
    fn add(&mut self, world: &World, seen: &Seen) {
        self.worlds += 1;
        self.broadcasts += world.broadcasts.len();
        self.paced += world.broadcasts.iter().filter(|broadcast| broadcast.pace.is_some()).count();
        let reports = seen.runs.iter().filter_map(|run| run.ended.report());
        let halted =
            reports.filter(|report| report.stopped().is_some()).map(|report| report.broadcast().to_string());
        self.halted += halted.chain(seen.stopped.keys().cloned()).collect::<BTreeSet<_>>().len();
        self.continued += seen.continued.len();
        self.tasks += world.tasks.len();
        self.calls += seen.calls.len();
        match world.form {
            Form::Queues => self.daemons += seen.daemons,
            Form::Direct => self.direct += 1,
        }
        for run in &seen.runs {
            *self.runs.entry(run.ended.name()).or_default() += 1;
        }
        self.stopped += seen.tasks.iter().filter(|(_, has_stopped)| *has_stopped).count();
        for (fault, count) in &seen.struck {
            *self.struck.entry(fault.clone()).or_default() += count;
        }
    }
}

#[test]
fn whatever_goes_wrong_every_task_has_the_right_end() {
    let first = number("FAULT_FIRST_SEED").unwrap_or_default();
    let seeds = match number("FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("FAULT_SEEDS").unwrap_or(SEEDS),
    };
    let trust = tokio::runtime::Runtime::new().unwrap().block_on(secrets::trust());
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Total::default());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(seeds.end - seeds.start) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    one(seed, &trust, &total);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    for ((operation, fault), count) in &total.struck {
        eprintln!("{count:>8}  {operation} {fault}");
    }
    let resident = resident_kib_most();
    eprintln!(
        "{} worlds ({} direct), {} broadcasts ({} in waves, {} of them stopped by errors, {} pauses ended by hand), {} tasks ({} stopped on the way), {} calls, {} daemons, {:?}, {} faults, {:?} KiB resident",
        total.worlds,
        total.direct,
        total.broadcasts,
        total.paced,
        total.halted,
        total.continued,
        total.tasks,
        total.stopped,
        total.calls,
        total.daemons,
        total.runs,
        total.struck.values().sum::<u64>(),
        resident
    );
    assert!(resident.is_none_or(|resident| resident < RESIDENT_KIB_MAX), "{resident:?} KiB resident");
    assert!(total.failed.is_empty(), "seeds {:?} failed; `make faults SEED=N` replays one", total.failed);
}

fn one(seed: u64, trust: &Auth, total: &Mutex<Total>) {
    let world = World::draw(seed);
    let run = run::run(&world, trust);
    let broken = invariants::broken(&world, &run);
    let mut total = total.lock().unwrap();
    total.add(&world, &run);
    if !broken.is_empty() {
        total.failed.push(seed);
        eprintln!("seed {seed} failed; `make faults SEED={seed}` replays it:\n  {}", broken.join("\n  "));
        for (number, run) in run.runs.iter().enumerate() {
            eprintln!("  run {number} of seed {seed}: {}", run.shown());
        }
    }
}
