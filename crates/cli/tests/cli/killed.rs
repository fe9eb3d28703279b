//! A daemon that is killed in the middle of a broadcast, and started again.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::until;

const TASKS: usize = 2_000;
/// Calls under way at the same time: what a kill can make a receiver hear twice.
const CONCURRENCY: usize = 64;
/// The daemon is killed when at least so many calls were received, the first and the second time.
const KILLED_AT: [usize; 2] = [300, 1_000];
/// By then it was too late to kill it in the middle.
const TOO_LATE: usize = 1_800;

#[test]
fn a_daemon_that_is_killed_twice_tells_all_of_2000_tasks_and_few_twice() {
    // The answer takes a moment, as it does over a network, so that calls are under way when the daemon is killed.
    let services = ["a", "b", "c", "d"]
        .map(|name| service(name, TASKS / 4, "answers = [{ status = 202, delay_ms = 20 }]"));
    let pipeline = Pipeline::new(&fleet(&services));
    // No call ends before its answer, however busy this machine: a second try would be a repeat without a kill.
    let arguments = format!("--concurrency {CONCURRENCY} --timeout-ms 60000 --connect-timeout-ms 60000");
    let mut daemon = pipeline.serve(&arguments);
    assert_eq!(pipeline.notifier("publish -c prod --id b-1").run().code, 0);
    // For each kill: how many calls there were, and whom the ledger knew as told.
    let mut kills = Vec::new();
    for enough in KILLED_AT {
        until("it is in the middle", || pipeline.received().len() >= enough);
        daemon.kill();
        let calls = pipeline.received().len();
        assert!(calls < TOO_LATE, "{calls} calls: it was not killed in the middle");
        let report = pipeline.notifier("report b-1 --format json --quiet").run();
        assert_eq!(report.code, 1, "{}", report.stderr);
        let told: BTreeSet<String> = json(&report.stdout)
            .into_iter()
            .filter(|line| line["outcome"] == "delivered")
            .map(|line| line["task"].as_str().unwrap().to_owned())
            .collect();
        // Each of the others was under way, now or when it was killed before.
        let unknown = calls.checked_sub(told.len()).expect("nobody is told without a call");
        assert!(unknown <= CONCURRENCY * (kills.len() + 1), "{unknown} of {calls}");
        kills.push((calls, told));
        daemon = pipeline.serve(&arguments);
    }

    let report = pipeline.notifier("report b-1 --wait=120 --format json --quiet").run();
    assert_eq!(report.code, 0, "{}", report.stderr);
    let mut lines = json(&report.stdout);
    let summary = lines.pop().unwrap();
    assert_eq!((lines.len(), &summary["summary"]["delivered"]), (TASKS, &TASKS.into()), "{summary}");

    let mut accepted = BTreeMap::<String, Vec<String>>::new();
    for (number, call) in pipeline.received().into_iter().enumerate() {
        let known = |(calls, told): &(usize, BTreeSet<String>)| number >= *calls && told.contains(&call.task);
        assert!(!kills.iter().any(known), "{} was recorded as told before the kill", call.task);
        assert_eq!(call.status, Some(202));
        accepted.entry(call.task.clone()).or_default().push(call.header("webhook-id").unwrap().to_owned());
    }
    assert_eq!(accepted.len(), TASKS, "each task was told");
    assert!(lines.iter().all(|line| accepted.contains_key(line["task"].as_str().unwrap())));
    let repeated: Vec<_> = accepted.values().filter(|ids| ids.len() > 1).collect();
    assert!(repeated.iter().all(|ids| ids.iter().all(|id| *id == ids[0])), "a repeat has the same id");
    let repeats: usize = repeated.iter().map(|ids| ids.len() - 1).sum();
    assert!(repeats <= CONCURRENCY * KILLED_AT.len(), "{repeats} calls were made again");
    println!("{repeats} of {TASKS} calls were made again after {} kills", KILLED_AT.len());
    assert_eq!(daemon.stop().code, 0);
}
