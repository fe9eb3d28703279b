//! `cancel`, with a running daemon.

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::until;

#[test]
fn containers_that_were_not_called_before_the_cancel_are_skipped() {
    // One call at a time without an answer: the others wait on their queue.
    let pipeline = Pipeline::new(&fleet(&[service("work", 4, "answers = [{ hang = true }]")]));
    let daemon = pipeline.serve("--concurrency 1 --timeout-ms 600000 --grace-ms 0");
    assert_eq!(pipeline.notifier("publish -c prod --id b-1").run().code, 0);
    until("the first of them is called", || !pipeline.received().is_empty());
    let pending = pipeline.notifier("report b-1 --format json").run();
    assert_eq!((pending.code, pending.stdout.matches(r#""outcome":null"#).count()), (1, 4), "{pending}");
    assert!(pending.stderr.contains("error: the broadcast has not ended"), "{pending}");

    let cancel = pipeline.notifier("cancel b-1 --reason").arg("wrong cache").run();
    assert_eq!((cancel.code, cancel.stdout.as_str()), (0, ""), "{cancel}");
    assert!(cancel.stderr.contains("broadcast b-1 is cancelled"), "{cancel}");
    let pending = pipeline.notifier("report b-1 --format json").run();
    let advice = json(&pending.stdout)[0]["advice"].as_str().unwrap().to_owned();
    assert!(advice.contains("was cancelled") && !advice.contains("tries it again"), "{pending}");
    let again = pipeline.notifier("cancel b-1 --reason again").run();
    assert!(again.code == 0 && again.stderr.contains("was cancelled before"), "{again}");
    assert_eq!(daemon.stop().code, 0);
    let _daemon = pipeline.serve("");

    let report = pipeline.notifier("report b-1 --wait=90 --format json").run();
    assert_eq!(report.code, 1, "{report}");
    let mut lines = json(&report.stdout);
    assert_eq!(lines.pop().unwrap()["summary"]["skipped"], 4, "{report}");
    for line in &lines {
        assert_eq!(
            (&line["outcome"], &line["reason"], &line["cause"]),
            (&"skipped".into(), &"the broadcast was cancelled".into(), &"cancelled".into())
        );
    }
    assert!(report.stderr.contains("warning: the broadcast was cancelled: wrong cache\n"), "{report}");
    assert_eq!(pipeline.received().len(), 1, "the call under way when it was cancelled");
    let report = pipeline.notifier("report b-1 --allow-skips").run();
    assert!(report.code == 1 && report.stderr.contains("because: 4 containers skipped"), "{report}");
    assert_eq!(pipeline.notifier("report b-1 --allow-skips --allow-empty").run().code, 0);
}

#[test]
fn a_broadcast_that_is_cancelled_before_it_begins_calls_no_container() {
    let pipeline = Pipeline::new(&fleet(&[service("work", 2, "")]));
    assert_eq!(pipeline.notifier("cancel b-0 --before-it-begins").run().code, 0);
    let unknown = pipeline.notifier("cancel b-1").run();
    assert_eq!(unknown.code, 2, "{unknown}");
    assert!(unknown.stderr.contains("no record of broadcast b-1, so nothing was cancelled"), "{unknown}");
    assert!(unknown.stderr.contains("may still be on the observer queue"), "{unknown}");
    let cancel = pipeline.notifier("cancel b-1 --before-it-begins").run();
    assert_eq!(cancel.code, 0, "{cancel}");
    assert!(cancel.stderr.contains("warning: the ledger has no record of b-1 yet"), "{cancel}");
    let _daemon = pipeline.serve("");
    let report = pipeline.broadcast();
    assert!(report.code == 1 && report.stderr.contains("because: the broadcast was cancelled"), "{report}");
    assert_eq!(json(&report.stdout)[0]["summary"]["total"], 0, "{report}");
    assert!(report.stderr.contains("warning: the broadcast was cancelled\n"), "{report}");
    assert!(pipeline.received().is_empty());
}
