//! Commands that read a ledger in a file.

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::{Sim, answering, redacted};

/// A simulator, and the flag for a new ledger.
fn setup(answers: &str) -> (Sim, String, tempfile::TempDir) {
    setup_of(&answering(answers))
}

fn setup_of(fleet: &str) -> (Sim, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = format!("--ledger sqlite:{}/ledger.db", directory.path().display());
    (Sim::start(fleet), ledger, directory)
}

#[test]
fn a_report_equals_that_of_send_and_has_its_exit_code() {
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
fn only_what_calls_tasks_makes_a_ledger() {
    let (sim, ledger, directory) = setup("");
    for command in [
        "report b-1",
        "history",
        "cancel b-1",
        "publish -c prod --queue observer --wait=1",
        "publish --failed-of last --queue observer",
        "send --failed-of last",
    ] {
        let run = sim.notifier(&format!("{command} {ledger}")).run();
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains("the file does not exist"), "{run}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "{command}");
    }
}

#[test]
fn the_last_broadcast_of_an_empty_ledger_is_not_looked_for_on_a_queue() {
    let (sim, ledger, directory) = setup("");
    std::fs::write(directory.path().join("ledger.db"), "").unwrap();
    let run = sim.notifier(&format!("report last {ledger}")).run();
    assert_eq!(run.code, 2, "{run}");
    assert!(
        run.stderr.contains("no record of any broadcast") && run.stderr.contains("NOTIFIER_LEDGER"),
        "{run}"
    );
    assert!(!run.stderr.contains("observer queue"), "{run}");
}

#[test]
fn a_damaged_ledger_is_not_wrong_use() {
    let (sim, ledger, directory) = setup("");
    std::fs::write(directory.path().join("ledger.db"), "no database at all ".repeat(999)).unwrap();
    for command in ["report b-1", "history", "send -c prod"] {
        let run = sim.notifier(&format!("{command} {ledger}")).run();
        assert_eq!(run.code, 3, "{run}");
        assert!(
            run.stderr.contains("is damaged") && run.stderr.contains("hint: check that --ledger"),
            "{run}"
        );
    }
}

#[test]
fn a_notified_container_is_not_called_again_for_the_same_event() {
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
fn a_report_is_named_by_last_or_the_beginning_of_an_id_and_shows_those_who_are_wanted() {
    let services = [service("a", 2, ""), service("z", 1, "answers = [{ status = 404 }]")];
    let (sim, ledger, _directory) = setup_of(&fleet(&services));
    for id in ["deploy-1", "deploy-2"] {
        assert_eq!(sim.notifier(&format!("send -c prod --id {id} {ledger}")).run().code, 1);
    }
    let report = |arguments: &str| sim.notifier(&format!("report {arguments} {ledger}")).run();
    let latest = report("deploy-2");
    let first: Vec<_> = latest.stdout.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(first[..3], ["z", "rejected", "a"], "troubled services first: {latest}");
    assert_eq!(report("last").stdout, latest.stdout);
    let ambiguous = report("depl");
    assert!(ambiguous.code == 2 && ambiguous.stderr.contains("begin with depl"), "{ambiguous}");
    assert_eq!(sim.notifier(&format!("send -c prod --id release-1 {ledger}")).run().code, 1);
    let short = report("rele");
    assert!(short.code == 1 && short.stderr.contains("broadcast release-1\n"), "{short}");

    let untold = report("last --only untold --format json");
    let lines = json(&untold.stdout);
    assert_eq!((untold.code, lines.len(), &lines[0]["outcome"]), (1, 2, &"rejected".into()), "{untold}");
    assert_eq!(lines[1]["summary"]["delivered"], 2, "the totals are those of all");
    assert_eq!(json(&report("last --only failed --format json").stdout).len(), 1);
}

#[test]
fn only_containers_that_were_not_notified_are_called_again() {
    let services = [
        service("fine", 2, "answers = [{ status = 200 }, { status = 500 }]"),
        service("mended", 1, "answers = [{ status = 404 }, { status = 200 }]"),
    ];
    let (sim, ledger, _directory) = setup_of(&fleet(&services));
    let sent = sim.notifier(&format!("send -c prod --id b-1 --data [1] {ledger}")).run();
    assert_eq!(sent.code, 1, "{sent}");
    assert!(
        sent.stderr
            .contains("hint: to retry only those containers: `ecs-task-notifier send --failed-of b-1`"),
        "{sent}"
    );
    let again = sim.notifier(&format!("send --failed-of last --format json {ledger}")).run();
    assert_eq!(again.code, 0, "{again}");
    let lines = json(&again.stdout);
    assert_eq!((lines.len(), &lines[0]["service"]), (2, &"mended".into()), "{again}");
    assert_eq!(lines[0]["broadcast"], "b-1");
    let report = sim.notifier(&format!("report b-1 --format json {ledger}")).run();
    let lines = json(&report.stdout);
    assert_eq!((report.code, &lines[3]["summary"]["delivered"]), (0, &3.into()), "{report}");
    assert_eq!(lines[2]["attempts"], 2, "over both rounds: {report}");
    let nobody = sim.notifier(&format!("send --failed-of b-1 {ledger}")).run();
    assert!(
        nobody.code == 0
            && nobody.stderr.contains("broadcast b-1 has no failed, rejected or pending container"),
        "{nobody}"
    );
}

#[test]
fn data_that_the_ledger_left_out_is_given_again() {
    let (sim, ledger, _directory) = setup("answers = [{ status = 404 }, { status = 200 }]");
    let data = format!("\"{}\"", "x".repeat(70_000));
    let first = sim.notifier(&format!("send -c prod --id b-1 {ledger} --data")).arg(&data).run();
    assert_eq!(first.code, 1, "{first}");
    let without = sim.notifier(&format!("send --failed-of b-1 {ledger}")).run();
    assert_eq!((without.code, without.stdout.as_str()), (2, ""), "{without}");
    assert!(without.stderr.contains("does not have the event's data, which were 70,002 bytes"), "{without}");
    let with = sim.notifier(&format!("send --failed-of b-1 {ledger} --data")).arg(&data).run();
    assert_eq!(with.code, 0, "{with}");
}

#[test]
fn a_cancelled_broadcast_calls_no_container_when_it_is_sent() {
    let (sim, ledger, _directory) = setup("answers = [{ status = 200 }, { status = 500 }]");
    let cancel = sim.notifier(&format!("cancel b-1 --before-it-begins --reason oops {ledger}")).run();
    assert_eq!(cancel.code, 0, "{cancel}");
    for arguments in ["send -c prod --id b-1", "send --failed-of b-1"] {
        let sent = sim.notifier(&format!("{arguments} {ledger}")).run();
        assert!(sent.code != 0 && sent.stdout.is_empty(), "{sent}");
    }
    let sent = sim.notifier(&format!("send -c prod --id b-1 {ledger}")).run();
    assert_eq!(sent.code, 1, "{sent}");
    assert!(
        sent.stderr.contains("error: the broadcast was cancelled (oops), so no task was called"),
        "{sent}"
    );
    assert_eq!(
        sim.notifier(&format!("send -c prod --id b-2 {ledger}")).run().code,
        0,
        "the first call of all"
    );
}

#[test]
fn a_cancelled_broadcast_has_a_warning_and_an_unknown_one_is_wrong_use() {
    let (sim, ledger, _directory) = setup("");
    assert_eq!(sim.notifier(&format!("report b-1 {ledger}")).run().code, 2);
    assert_eq!(sim.notifier(&format!("send -c prod --id b-1 {ledger}")).run().code, 0);
    assert_eq!(sim.notifier(&format!("cancel b-1 --reason oops {ledger}")).run().code, 0);
    let report = sim.notifier(&format!("report b-1 {ledger}")).run();
    assert!(report.stderr.contains("the broadcast was cancelled: oops"), "{report}");
    let none = sim.notifier("report b-1").run();
    assert!(none.code == 2 && none.stderr.contains("no ledger is set"), "{none}");
}

#[test]
fn what_is_published_with_wait_ends_in_the_report_and_is_in_the_history() {
    let _bound = redacted();
    let rejecting = service("audit", 1, "answers = [{ status = 404 }]");
    let pipeline = Pipeline::new(&fleet(&[service("checkout", 3, ""), rejecting]));
    let _daemon = pipeline.serve("");
    let published = pipeline.notifier("publish -c prod --id b-1 --type com.example.clear --wait=90").run();
    assert_eq!(published.code, 1, "{published}");
    insta::assert_snapshot!(published.stdout, @r"
    audit     0 of 1 notified
      rejected  127.B.16.4:8080  86622f1c/app  answered 404 Not Found
    checkout  3 of 3 notified  p50 [time]  p99 [time]  max [time]
    4 containers: 3 delivered, 1 rejected
    what to do:
      1 rejected  404  path not found: correct the label NOTIFY_ME_API_URI, or the service
    ");
    let lines: Vec<_> = published.stderr.lines().collect();
    assert_eq!(lines[0], "broadcast b-1 to queue observer (account 111122223333, region us-east-1)");
    assert_eq!(lines[lines.len() - 2], "error: 1 of 4 containers was not notified");
    assert!(
        lines[lines.len() - 1].contains("then `ecs-task-notifier redrive --broadcast b-1`"),
        "{published}"
    );

    // The report is always the same.
    let report = pipeline.notifier("report b-1").run();
    assert_eq!((report.code, &report.stdout), (1, &published.stdout));
    let csv = pipeline.notifier("report b-1 --format csv").run();
    assert_eq!((csv.code, csv.stdout.lines().count()), (1, 5), "{csv}");
    assert!(csv.stdout.contains(",rejected,answered 404 Not Found,1,404,"), "{csv}");

    let other = pipeline.notifier("publish -c prod -s checkout --id b-2 --subject prices --wait=90").run();
    assert_eq!(other.code, 0, "{other}");
    let history = pipeline.notifier("history --format json").run();
    let mut lines = json(&history.stdout);
    assert_eq!((history.code, lines.pop().unwrap()), (0, serde_json::json!({"summary": {"broadcasts": 2}})));
    let fields = |line: &serde_json::Value| {
        ["broadcast", "type", "cluster", "services", "subject"].map(|name| line[name].clone())
    };
    assert_eq!(fields(&lines[0]), ["b-2", "com.ecs-task-notifier.notify", "prod", "checkout", "prices"]);
    assert_eq!(fields(&lines[1])[..4], ["b-1", "com.example.clear", "prod", ""]);
    assert!(lines[1]["subject"].is_null() && lines[1]["asked_at"].as_str().unwrap().ends_with('Z'));
    let text = pipeline.notifier("history -n 1").run();
    assert_eq!((text.code, text.stdout.lines().count()), (0, 1), "{text}");
    assert!(
        text.stdout
            .trim_end()
            .ends_with("b-2  com.ecs-task-notifier.notify  prod: checkout  3 of 3 notified"),
        "{text}"
    );
    assert_eq!([&lines[0]["total"], &lines[0]["delivered"], &lines[0]["failed"]], [3, 3, 0]);
    assert_eq!([&lines[1]["total"], &lines[1]["rejected"]], [4, 1]);
    let failed = pipeline.notifier("history --failed").run();
    assert_eq!(failed.stdout.lines().count(), 1, "{failed}");
    assert!(
        failed.stdout.contains("b-1") && failed.stdout.contains("3 of 4 notified, 1 rejected"),
        "{failed}"
    );
    let quick = json(&pipeline.notifier("history --no-outcomes --format json").run().stdout);
    assert!(quick[0]["total"].is_null() && quick[0]["broadcast"] == "b-2", "{quick:?}");
    let csv = pipeline.notifier("history --format csv").run();
    assert!(
        csv.stdout
            .starts_with("asked_at,broadcast,type,source,subject,cluster,services,asked_by,failure,total,")
    );
}

#[test]
fn containers_that_a_published_broadcast_did_not_notify_are_requested_again_in_the_same_report() {
    let mended = "answers = [{ status = 404 }, { status = 200 }]";
    let fine = "answers = [{ status = 200 }, { status = 500 }]";
    let pipeline = Pipeline::new(&fleet(&[service("fine", 1, fine), service("mended", 1, mended)]));
    let _daemon = pipeline.serve("");
    let first = pipeline.broadcast();
    assert_eq!(first.code, 1, "{first}");
    let again = pipeline.notifier("publish --failed-of b-1 --wait=90 --format json").run();
    assert_eq!(again.code, 0, "{again}");
    let lines = json(&again.stdout);
    assert_eq!((lines.len(), &lines[2]["summary"]["delivered"]), (3, &2.into()), "{again}");
    assert_eq!(pipeline.received().len(), 3, "a notified container is not called again");
    let history = json(&pipeline.notifier("history --format json").run().stdout);
    assert_eq!(
        (history.len(), &history[0]["services"]),
        (2, &"".into()),
        "still the whole cluster: {history:?}"
    );
}

#[test]
fn waiting_ends_when_the_time_is_over_and_says_that_the_broadcast_has_not_ended() {
    let pipeline = Pipeline::new(&fleet(&[service("work", 2, "answers = [{ hang = true }]")]));
    let _daemon = pipeline.serve("--timeout-ms 600000");
    let published = pipeline.notifier("publish -c prod --id b-1").run();
    assert_eq!(published.code, 0, "{published}");
    crate::support::until("both are called", || pipeline.received().len() == 2);
    let waited = pipeline.notifier("report b-1 --wait=1 --format json").run();
    assert_eq!(waited.code, 1, "{waited}");
    let lines = json(&waited.stdout);
    assert_eq!((&lines[0]["outcome"], &lines[2]["summary"]["pending"]), (&().into(), &2.into()), "{waited}");
    assert!(lines[0]["advice"].as_str().unwrap().starts_with("wait for the end"), "{waited}");
    assert!(waited.stderr.contains("error: the broadcast has not ended"), "{waited}");
    let unheard = pipeline.notifier("report b-9 --wait=1").run();
    assert_eq!(unheard.code, 2, "{unheard}");
    assert!(unheard.stderr.contains("the broadcast has not begun"), "{unheard}");
    assert!(unheard.stderr.contains("may still be on the observer queue"), "{unheard}");
    assert!(waited.stderr.contains("it waited 1 s"), "{waited}");
    assert!(!waited.stderr.contains("`--wait` waits for the end"), "{waited}");
}
