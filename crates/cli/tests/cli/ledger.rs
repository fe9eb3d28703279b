//! What was sent, read back out of a ledger in a file.

use crate::support::{Sim, answering};

/// A simulator, and the flag that names a ledger of its own.
fn setup(answers: &str) -> (Sim, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = format!("--ledger sqlite:{}/ledger.db", directory.path().display());
    (Sim::start(&answering(answers)), ledger, directory)
}

#[test]
fn a_report_says_what_send_said_and_ends_like_it() {
    for (answers, code) in [("", 0), ("answers = [{ status = 403 }]", 1)] {
        let (sim, ledger, _directory) = setup(answers);
        let sent = sim.notifier(&format!("send -c prod --id b-1 --format json {ledger}")).run();
        let report = sim.notifier(&format!("report b-1 --format json {ledger}")).run();
        assert_eq!((sent.code, report.code), (code, code), "{sent}\n{report}");
        assert_eq!(sent.stdout, report.stdout);
        assert_eq!(sent.stdout.lines().count(), 3);
    }
}

#[test]
fn whoever_was_told_is_not_called_again_for_the_same_event() {
    let (sim, ledger, _directory) = setup("answers = [{ status = 200 }, { status = 500 }]");
    for _ in 0..2 {
        let sent = sim.notifier(&format!("send -c prod --id b-1 --allow-skips {ledger}")).run();
        assert_eq!(sent.code, 0, "a second call would have failed\n{sent}");
    }
}

#[test]
fn the_history_names_the_latest_first() {
    let (sim, ledger, _directory) = setup("");
    for id in ["b-1", "b-2"] {
        assert_eq!(sim.notifier(&format!("send -c prod --id {id} {ledger}")).run().code, 0);
    }
    let history = sim.notifier(&format!("history --format json {ledger}")).run();
    let ids: Vec<_> =
        history.stdout.lines().filter_map(|line| line.split("\"broadcast\":\"").nth(1)).collect();
    assert!(ids[0].starts_with("b-2") && ids[1].starts_with("b-1"), "{history}");
}

#[test]
fn a_cancelled_broadcast_says_so_and_an_unknown_one_is_wrong_use() {
    let (sim, ledger, _directory) = setup("");
    assert_eq!(sim.notifier(&format!("report b-1 {ledger}")).run().code, 2);
    assert_eq!(sim.notifier(&format!("send -c prod --id b-1 {ledger}")).run().code, 0);
    assert_eq!(sim.notifier(&format!("cancel b-1 --reason oops {ledger}")).run().code, 0);
    let report = sim.notifier(&format!("report b-1 {ledger}")).run();
    assert!(report.stderr.contains("the broadcast was cancelled: oops"), "{report}");
    let none = sim.notifier("report b-1").run();
    assert!(none.code == 2 && none.stderr.contains("no ledger is named"), "{none}");
}
