//! A daemon is killed in the middle of a broadcast, and started again.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::until;

const TASKS: usize = 2_000;
/// Concurrent calls: these may be repeated after a kill.
const CONCURRENCY: usize = 64;
/// The daemon is killed after this number of calls, the first and the second time.
const KILLED_AT: [usize; 2] = [300, 1_000];
/// After this number of calls, it is too late for a kill in the middle.
const TOO_LATE: usize = 1_800;

#[test]
fn a_daemon_that_is_killed_twice_notifies_all_of_2000_tasks_and_few_twice() {
    // Answers take some time, so that calls are in flight when the daemon is killed.
    let services = ["a", "b", "c", "d"]
        .map(|name| service(name, TASKS / 4, "answers = [{ status = 202, delay_ms = 20 }]"));
    let pipeline = Pipeline::new(&fleet(&services));
    // No call times out, however busy this machine is: a retry would be a repeat without a kill.
    let arguments = format!("--concurrency {CONCURRENCY} --timeout-ms 60000 --connect-timeout-ms 60000");
    let mut daemon = pipeline.serve(&arguments);
    assert_eq!(pipeline.notifier("publish -c prod --id b-1").run().code, 0);
    // For each kill: the number of calls, and the tasks that were notified in the ledger.
    let mut kills = Vec::new();
    for enough in KILLED_AT {
        until("it is in the middle", || pipeline.received().len() >= enough);
        daemon.kill();
        let calls = pipeline.received().len();
        assert!(calls < TOO_LATE, "{calls} calls: it was not killed in the middle");
        let report = pipeline.notifier("report b-1 --format json --quiet").run();
        assert_eq!(report.code, 1, "{}", report.stderr);
        let notified: BTreeSet<String> = json(&report.stdout)
            .into_iter()
            .filter(|line| line["outcome"] == "delivered")
            .map(|line| line["task"].as_str().unwrap().to_owned())
            .collect();
        // Each of the others was in flight at this or an earlier kill.
        let unknown = calls.checked_sub(notified.len()).expect("no task is notified without a call");
        assert!(unknown <= CONCURRENCY * (kills.len() + 1), "{unknown} of {calls}");
        kills.push((calls, notified));
        daemon = pipeline.serve(&arguments);
    }

    let report = pipeline.notifier("report b-1 --wait=120 --format json --quiet").run();
    assert_eq!(report.code, 0, "{}", report.stderr);
    let mut lines = json(&report.stdout);
    let summary = lines.pop().unwrap();
    assert_eq!((lines.len(), &summary["summary"]["delivered"]), (TASKS, &TASKS.into()), "{summary}");

    let mut accepted = BTreeMap::<String, Vec<String>>::new();
    for (number, call) in pipeline.received().into_iter().enumerate() {
        let known =
            |(calls, notified): &(usize, BTreeSet<String>)| number >= *calls && notified.contains(&call.task);
        assert!(!kills.iter().any(known), "{} was recorded as notified before the kill", call.task);
        assert_eq!(call.status, Some(202));
        accepted.entry(call.task.clone()).or_default().push(call.header("webhook-id").unwrap().to_owned());
    }
    assert_eq!(accepted.len(), TASKS, "each task was notified");
    assert!(lines.iter().all(|line| accepted.contains_key(line["task"].as_str().unwrap())));
    let repeated: Vec<_> = accepted.values().filter(|ids| ids.len() > 1).collect();
    assert!(repeated.iter().all(|ids| ids.iter().all(|id| *id == ids[0])), "a repeat has the same id");
    let repeats: usize = repeated.iter().map(|ids| ids.len() - 1).sum();
    assert!(repeats <= CONCURRENCY * KILLED_AT.len(), "{repeats} calls were made again");
    println!("{repeats} of {TASKS} calls were made again after {} kills", KILLED_AT.len());
    assert_eq!(daemon.stop().code, 0);
}
