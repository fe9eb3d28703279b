//! Seeded worlds in virtual time: whatever processes, clocks and the table do, all of them together stay inside the share.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of calls and microseconds are small enough"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::aws::budget::Group;
use crate::base::Rng;

/// Where the virtual time begins.
const START: Micros = 1_800_000_000_000_000;
const SECOND: Micros = 1_000_000;
/// How long a process that sees no answer of the table waits before it asks again.
const TABLE_PAUSE: Micros = SECOND / 2;

/// The conditions of one world.
#[derive(Clone, Copy, Debug)]
struct World {
    group: Group,
    percent: f64,
    processes: usize,
    seconds: u64,
    /// The largest difference between two clocks.
    skew: Micros,
    /// The longest time that a request to the table takes.
    latency: Micros,
    /// The part of the claims whose process dies before it uses them.
    deaths: f64,
    /// The part of the time in which the table does not answer.
    outage: f64,
    /// The mean time between two calls of a process; 0: it always has a call to make.
    idle: Micros,
}

const BUSY: World = World {
    group: Group::ClusterRead,
    percent: 50.0,
    processes: 10,
    seconds: 40,
    skew: 0,
    latency: 20_000,
    deaths: 0.0,
    outage: 0.0,
    idle: 0,
};

/// What a process does when its time comes.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Think,
    /// The answer to a list, as the table was.
    Listed,
    /// The answer to a claim.
    Claimed(u64, bool),
}

/// The times at which calls were made.
fn run(world: &World, seed: u64) -> Vec<Micros> {
    let rng = Rng::seeded(seed);
    let chunks = Chunks::of(world.group.share(world.percent));
    let some = |most: Micros| (f64::from(u32::try_from(most).unwrap()) * rng.fraction()) as Micros;
    let skews: Vec<Micros> = (0..world.processes).map(|_| some(world.skew)).collect();
    let mut leases: Vec<_> = (0..world.processes).map(|_| Lease::new(chunks)).collect();
    let mut listed: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); world.processes];
    let mut table = BTreeSet::new();
    let mut calls = Vec::new();
    // The turn is no key: of two at one time, the lower number comes first.
    let mut turns = BinaryHeap::new();
    let mut kinds = std::collections::HashMap::new();
    let mut number = 0_u64;
    let mut plan = |turns: &mut BinaryHeap<_>, kinds: &mut std::collections::HashMap<_, _>, at, who, turn| {
        number += 1;
        kinds.insert(number, turn);
        turns.push(Reverse((at, number, who)));
    };
    for who in 0..world.processes {
        plan(&mut turns, &mut kinds, START + some(world.idle), who, Turn::Think);
    }
    while let Some(Reverse((at, number, who))) = turns.pop() {
        if at > START + world.seconds * SECOND {
            break;
        }
        let now = at + skews[who];
        match kinds.remove(&number).unwrap() {
            Turn::Think => {}
            Turn::Listed => leases[who].listed(now, std::mem::take(&mut listed[who]), None),
            Turn::Claimed(chunk, is_ours) => {
                if is_ours && rng.fraction() < world.deaths {
                    // It starts anew and knows nothing of its claim.
                    leases[who] = Lease::new(chunks);
                } else {
                    leases[who].claimed(chunk, is_ours);
                }
            }
        }
        // Every tenth of a second the table is up or down for all.
        let tenth = Rng::seeded(seed ^ (at / (SECOND / 10))).fraction();
        let is_down = tenth < world.outage;
        let took = 1 + some(world.latency);
        match leases[who].next(now, rng.fraction()) {
            Step::Go => {
                calls.push(at);
                plan(&mut turns, &mut kinds, at + 2 * some(world.idle), who, Turn::Think);
            }
            Step::Wait(time) => {
                let time = Micros::try_from(time.as_micros()).unwrap();
                plan(&mut turns, &mut kinds, at + time.max(1), who, Turn::Think);
            }
            Step::List(_) | Step::Claim(_) if is_down => {
                plan(&mut turns, &mut kinds, at + TABLE_PAUSE, who, Turn::Think);
            }
            Step::List(first) => {
                listed[who] = table.range(first..).copied().collect();
                plan(&mut turns, &mut kinds, at + took, who, Turn::Listed);
            }
            Step::Claim(chunk) => {
                let is_ours = table.insert(chunk);
                if rng.fraction() < world.outage {
                    // The answer is lost: the chunk is nobody's.
                    plan(&mut turns, &mut kinds, at + TABLE_PAUSE, who, Turn::Think);
                } else {
                    plan(&mut turns, &mut kinds, at + took, who, Turn::Claimed(chunk, is_ours));
                }
            }
            Step::Note(_) => unreachable!("nobody throttles"),
        }
    }
    calls
}

/// Checks every window that begins and ends with a call.
#[track_caller]
fn check(world: &World, calls: &[Micros]) {
    let share = world.group.share(world.percent);
    for (first, from) in calls.iter().enumerate() {
        for (count, to) in (1_u32..).zip(&calls[first..]) {
            let window = (to - from + world.skew) as f64 / SECOND as f64;
            let most = share.refill_per_s * window + f64::from(share.burst);
            assert!(
                f64::from(count) <= most + 1e-6,
                "{count} calls within {window} s, at most {most}: {world:?}"
            );
        }
    }
}

/// The calls that the share allows in the whole time.
fn most(world: &World) -> f64 {
    let share = world.group.share(world.percent);
    share.refill_per_s * world.seconds as f64 + f64::from(share.burst)
}

#[test]
fn ten_busy_processes_use_the_share_and_no_more() {
    for (group, percent) in [
        (Group::ClusterRead, 50.0),
        (Group::ClusterRead, 100.0),
        (Group::ServiceRead, 12.5),
        (Group::TaskDefinitionRead, 50.0),
        (Group::NodesRead, 50.0),
    ] {
        let world = World { group, percent, ..BUSY };
        let calls = run(&world, 1);
        check(&world, &calls);
        let used = calls.len() as f64 / most(&world);
        assert!(used > 0.85, "only {used:.2} of the share: {world:?}");
    }
}

#[test]
fn one_process_uses_the_share_as_well_as_ten() {
    let world = World { processes: 1, ..BUSY };
    let calls = run(&world, 1);
    check(&world, &calls);
    assert!(calls.len() as f64 > 0.9 * most(&world), "{} of {}", calls.len(), most(&world));
    // The burst is there at once.
    let at_once = calls.iter().filter(|at| **at < START + SECOND).count();
    assert!(at_once >= 45, "{at_once}");
}

#[test]
fn a_share_of_less_than_one_call_a_second_keeps_its_distance() {
    for percent in [0.01, 0.1, 1.0, 1.5, 2.0] {
        let world = World { percent, seconds: 2_000, processes: 20, ..BUSY };
        let calls = run(&world, 1);
        check(&world, &calls);
        assert!(
            calls.len() as f64 > 0.6 * (most(&world) - 1.0),
            "{percent}: {} of {}",
            calls.len(),
            most(&world)
        );
    }
}

#[test]
fn whatever_goes_wrong_the_share_is_not_exceeded() {
    let rng = Rng::seeded(7);
    let one_of = |all: &[f64]| all[(rng.fraction() * all.len() as f64) as usize % all.len()];
    for seed in 0..300 {
        let world = World {
            group: Group::ALL[seed as usize % Group::ALL.len()],
            percent: one_of(&[0.5, 3.0, 10.0, 50.0, 100.0]),
            processes: 1 + (rng.fraction() * 30.0) as usize,
            seconds: 15,
            skew: (one_of(&[0.0, 0.1, 1.0, 5.0]) * 1e6) as Micros,
            latency: (one_of(&[0.001, 0.05, 0.5, 3.0]) * 1e6) as Micros,
            deaths: one_of(&[0.0, 0.1, 0.9]),
            outage: one_of(&[0.0, 0.2, 0.9]),
            idle: (one_of(&[0.0, 0.2, 2.0]) * 1e6) as Micros,
        };
        check(&world, &run(&world, seed));
    }
}

#[test]
fn a_table_that_never_answers_gives_no_token() {
    let world = World { outage: 1.1, ..BUSY };
    assert!(run(&world, 1).is_empty());
}

#[test]
fn throttles_halve_the_share_down_to_an_eighth_and_it_comes_back_in_steps() {
    let whole = Throttled::default();
    assert_eq!(whole.eighths(START), 8);
    let once = whole.halved(START).unwrap();
    assert_eq!(once.eighths(START), 4);
    assert_eq!(once.halved(START + HOLD_US - 1), None, "calls that were under way");
    let twice = once.halved(START + HOLD_US).unwrap();
    assert_eq!(twice.eighths(START + HOLD_US), 2);
    let lowest = (2..10).fold(whole, |last, n| last.halved(START + n * HOLD_US).unwrap());
    let end = START + 9 * HOLD_US;
    assert_eq!(lowest.eighths(end), 1);
    let steps: Vec<u8> = (0..9).map(|n| lowest.eighths(end + n * STEP_US)).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7, 8, 8]);
    // Half-way back, a throttle halves what was reached.
    assert_eq!(lowest.halved(end + 5 * STEP_US).unwrap().eighths(end + 5 * STEP_US), 3);
    // Of another clock, or damaged.
    assert_eq!(Throttled { eighths: 0, at_us: u64::MAX }.eighths(START), 1);
    assert_eq!(Throttled { eighths: 200, at_us: 0 }.eighths(START), 8);
}

#[test]
fn a_smaller_part_of_the_share_is_a_part_of_the_larger_one_and_spread_evenly() {
    let allowed = |eighths, at: u64| {
        let throttled = Throttled { eighths, at_us: START };
        (at..at + 8).filter(|chunk| throttled.allows(*chunk, START)).collect::<BTreeSet<_>>()
    };
    for eighths in 1..=8_u8 {
        for at in 0..20 {
            assert_eq!(allowed(eighths, at).len(), usize::from(eighths));
            assert!(allowed(eighths - 1, at).is_subset(&allowed(eighths, at)) || eighths == 1);
        }
    }
    assert_eq!(allowed(4, 0), BTreeSet::from([0, 2, 4, 6]));
    assert_eq!(allowed(2, 0), BTreeSet::from([0, 4]));
}
