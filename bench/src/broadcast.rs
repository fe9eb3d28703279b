//! The comparison: `send` as a whole beside the smallest client, in turns, and a verdict.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::figures::{mib, quartiles, slope};
use crate::metrics;
use crate::receivers::{HUNG_ONE_IN, Receivers};
use crate::signing;
use crate::stage::{Client, Fleet, Sample, Stage, Way};

/// Processor time of one more notification by `send`, times the floor's.
const RATIO_MAX: f64 = 2.0;
/// The same with a ledger in a file.
const RATIO_WITH_LEDGER_MAX: f64 = 2.5;
/// Processor time of one more notification in a huge fleet, times that in a smaller one.
const GROWTH_MAX: f64 = 1.3;
/// Memory of `send` at its peak, for the huge fleet.
const PEAK_MIB_MAX: f64 = 200.0;
/// The most of a notification's processor time that counting it for the metrics may cost.
const METRICS_SHARE_MAX: f64 = 0.03;
/// How much longer or shorter the requests of the two clients may be.
const REQUEST_BYTES_DIFFERENCE_MAX: f64 = 0.03;

/// Fleets whose difference is what one more notification costs: neither start nor end of a process is in it.
const SMALL: u32 = 1_000;
const LARGE: u32 = 10_000;
/// The fleet whose memory counts.
const HUGE: u32 = 100_000;

const CLIENTS: [Client; 3] = [Client::Floor, Client::Send, Client::SendWithLedger];

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Compare {
    /// `ecs-task-notifier`; else the one beside this program
    #[arg(long)]
    program: Option<PathBuf>,
    /// Turns, each with a sample of every client and fleet
    #[arg(long, default_value_t = 7)]
    turns: usize,
    /// Calls under way at the same time
    #[arg(long, default_value_t = 256)]
    concurrency: u16,
    /// Leave out the fleet of 100,000 tasks, which takes minutes because AWS's throttles do
    #[arg(long)]
    quick: bool,
}

impl Default for Compare {
    fn default() -> Self {
        Self { program: None, turns: 7, concurrency: 256, quick: false }
    }
}

impl Compare {
    fn way(&self) -> Way {
        Way { concurrency: self.concurrency, timeout_ms: 10_000, attempts: 1, hung: 0 }
    }
}

/// What was found about one client, over all turns.
#[derive(Default)]
struct Found {
    /// Processor time of one more notification, in µs.
    slopes: Vec<f64>,
    /// The same, times the floor's of the same turn.
    ratios: Vec<f64>,
    /// The most memory with each of the two fleets, in MiB.
    peaks: [f64; 2],
    /// Processor time of the large fleet, in µs in all.
    large_us: Vec<f64>,
}

/// Runs everything; the exit code is 1 when a limit is missed.
pub(crate) fn run(compare: &Compare) -> Result<ExitCode> {
    let program = match &compare.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("ecs-task-notifier"),
    };
    let mut missed = Vec::new();
    let mut stage = Stage::start(&program, &Receivers::default())?;
    let found = against_the_floor(compare, &mut stage)?;
    judge_ratios(&found, &mut missed);
    memory(compare, &mut stage, &found, &mut missed)?;
    drop(stage);
    if !compare.quick {
        slow_tasks(&program)?;
        hung_tasks(&program)?;
        signing::run()?;
        let [_, send, _] = &found;
        let [_, median, _] = spread(&send.slopes);
        let share = metrics::run(median)?;
        if share > METRICS_SHARE_MAX {
            missed.push(format!("metrics cost {:.1} % of a notification, at most 3 %", share * 100.0));
        }
    }
    for limit in &missed {
        println!("\nMISSED: {limit}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Samples of the three clients, in turns.
fn against_the_floor(compare: &Compare, stage: &mut Stage) -> Result<[Found; 3]> {
    ensure!(compare.turns > 0, "nothing to measure");
    let fleets = [stage.fleet(SMALL)?, stage.fleet(LARGE)?];
    println!(
        "processor time of one more notification in µs: whole processes on one processor, {} at a time,\n\
         ({LARGE} tasks - {SMALL} tasks) / {}\n",
        compare.concurrency,
        LARGE - SMALL,
    );
    println!("| turn | floor | send | ratio | send, ledger | ratio | user + system of send | receivers |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut found = [Found::default(), Found::default(), Found::default()];
    for turn in 0..compare.turns {
        let samples = one_turn(compare, stage, &fleets, turn)?;
        let slopes =
            samples.each_ref().map(|[small, large]| slope(small.cost.cpu(), large.cost.cpu(), LARGE - SMALL));
        let [floor, send, with_ledger] = slopes;
        for ((found, samples), slope) in found.iter_mut().zip(&samples).zip(slopes) {
            found.slopes.push(slope);
            found.ratios.push(slope / floor);
            found.large_us.push(samples[1].cost.cpu().as_secs_f64() * 1e6);
            for (peak, sample) in found.peaks.iter_mut().zip(samples) {
                *peak = peak.max(mib(sample.cost.peak_kb));
            }
        }
        let [[small_floor, large_floor], [small, large], _] = samples;
        println!(
            "| {} | {floor:.1} | {send:.1} | {:.2} | {with_ledger:.1} | {:.2} | {:.1} + {:.1} | {:.1} |",
            turn + 1,
            send / floor,
            with_ledger / floor,
            slope(small.cost.user, large.cost.user, LARGE - SMALL),
            slope(small.cost.system, large.cost.system, LARGE - SMALL),
            slope(small_floor.receivers, large_floor.receivers, LARGE - SMALL),
        );
        let bytes = large.request_bytes / large_floor.request_bytes;
        ensure!(
            (bytes - 1.0).abs() <= REQUEST_BYTES_DIFFERENCE_MAX,
            "the clients make different requests: {:.0} and {:.0} bytes",
            large.request_bytes,
            large_floor.request_bytes,
        );
    }
    Ok(found)
}

/// A sample of every client with both fleets. Whoever comes later meets a machine that others have warmed up: they take
/// turns at that too.
fn one_turn(
    compare: &Compare,
    stage: &mut Stage,
    fleets: &[Fleet; 2],
    turn: usize,
) -> Result<[[Sample; 2]; 3]> {
    let mut samples = [None; 3];
    for place in 0..CLIENTS.len() {
        let at = (place + turn) % CLIENTS.len();
        let (Some(client), Some(sample)) = (CLIENTS.get(at), samples.get_mut(at)) else { continue };
        let [small, large] = fleets;
        let way = compare.way();
        *sample = Some([stage.sample(*client, small, &way)?, stage.sample(*client, large, &way)?]);
    }
    let [Some(floor), Some(send), Some(with_ledger)] = samples else { anyhow::bail!("no sample") };
    Ok([floor, send, with_ledger])
}

/// Prints medians and minima, and judges the medians of the ratios.
fn judge_ratios([floor, send, with_ledger]: &[Found; 3], missed: &mut Vec<String>) {
    println!("\n| | median | minimum | ratio, median | quartiles | minimum / minimum | limit |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let [lowest_floor, median_floor, _] = spread(&floor.slopes);
    println!("| floor | {median_floor:.1} | {lowest_floor:.1} | 1 | | 1 | |");
    for (name, found, limit) in
        [("send", send, RATIO_MAX), ("send with a SQLite ledger", with_ledger, RATIO_WITH_LEDGER_MAX)]
    {
        let [lowest, median, _] = spread(&found.slopes);
        let [low, ratio, high] = quartiles(found.ratios.clone());
        println!(
            "| {name} | {median:.1} | {lowest:.1} | {ratio:.2} | {low:.2} to {high:.2} | {:.2} | {limit:.1} |",
            lowest / lowest_floor,
        );
        if ratio > limit {
            missed.push(format!(
                "{name} costs {ratio:.2} times the floor's processor time, at most {limit:.1}"
            ));
        }
    }
}

/// The lowest, the median and the highest.
fn spread(values: &[f64]) -> [f64; 3] {
    let [_, median, _] = quartiles(values.to_vec());
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(0.0, f64::max);
    [lowest, median, highest]
}

/// Memory, and whether a notification costs more in a huge fleet.
fn memory(compare: &Compare, stage: &mut Stage, found: &[Found; 3], missed: &mut Vec<String>) -> Result<()> {
    println!(
        "\n| peak memory in MiB | {SMALL} tasks | {LARGE} tasks | {HUGE} tasks | KiB a task | µs a task | growth |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let huge = if compare.quick { None } else { Some(stage.fleet(HUGE)?) };
    for (client, found) in CLIENTS.into_iter().zip(found) {
        let name = match client {
            Client::Floor => "floor",
            Client::Send => "send",
            Client::SendWithLedger => "send with a SQLite ledger",
            Client::Ask => "ask",
            Client::Direct { .. } => "the library",
        };
        let [small, large] = found.peaks;
        let Some(huge) = &huge else {
            let a_task = (large - small) * 1024.0 / f64::from(LARGE - SMALL);
            println!("| {name} | {small:.0} | {large:.0} | | {a_task:.1} | | |");
            continue;
        };
        let cost = stage.sample(client, huge, &compare.way())?.cost;
        let peak = mib(cost.peak_kb);
        let a_task = (peak - small) * 1024.0 / f64::from(HUGE - SMALL);
        let [_, large_us, _] = spread(&found.large_us);
        let huge_slope = (cost.cpu().as_secs_f64() * 1e6 - large_us) / f64::from(HUGE - LARGE);
        let [_, slope, _] = spread(&found.slopes);
        let growth = huge_slope / slope;
        println!(
            "| {name} | {small:.0} | {large:.0} | {peak:.0} | {a_task:.1} | {huge_slope:.1} | {growth:.2} |"
        );
        if client == Client::Floor {
            continue;
        }
        if peak > PEAK_MIB_MAX {
            missed.push(format!("{name} takes {peak:.0} MiB for {HUGE} tasks, at most {PEAK_MIB_MAX:.0}"));
        }
        if growth > GROWTH_MAX {
            missed.push(format!(
                "{name}: a notification among {HUGE} costs {growth:.2} times one among {LARGE}, at most {GROWTH_MAX:.1}"
            ));
        }
    }
    Ok(())
}

/// For information: how near the calls come to what concurrency and latency allow.
fn slow_tasks(program: &std::path::Path) -> Result<()> {
    let (tasks, concurrency, delay_ms) = (3_200, 64, 20);
    let mut stage = Stage::start(program, &Receivers { delay_ms, ..Receivers::default() })?;
    let fleet = stage.fleet(tasks)?;
    let way = Way { concurrency, timeout_ms: 10_000, attempts: 1, hung: 0 };
    let wall = stage.sample(Client::Send, &fleet, &way)?.cost.wall.as_secs_f64();
    let ideal = f64::from(tasks) / f64::from(concurrency) * 0.020;
    println!(
        "\n{tasks} tasks that answer after {delay_ms} ms, {concurrency} at a time: {wall:.2} s in all, of which waiting alone {ideal:.2} s"
    );
    Ok(())
}

/// For information: what tasks that never answer cost everybody else, beside a model of it. They hold their slots for the
/// whole time limit, and the last of them begin when everybody else is done.
fn hung_tasks(program: &std::path::Path) -> Result<()> {
    let (tasks, concurrency, timeout_ms) = (4_000, 64, 1_000);
    let mut stage = Stage::start(program, &Receivers { some_hang: true, ..Receivers::default() })?;
    let fleet = stage.fleet(tasks)?;
    // 250 addresses of each 256 are used, from 1 on.
    let hung = tasks / 250 * (250 / u32::from(HUNG_ONE_IN));
    let way = Way { concurrency, timeout_ms, attempts: 1, hung };
    let wall = stage.sample(Client::Send, &fleet, &way)?.cost.wall.as_secs_f64();
    let limit_s = f64::from(timeout_ms) / 1_000.0;
    let model = f64::from(hung) * limit_s / f64::from(concurrency) + limit_s;
    println!(
        "{hung} of {tasks} tasks hang, {concurrency} at a time, given up after {limit_s} s: {wall:.1} s in all, model {model:.1} s"
    );
    Ok(())
}
