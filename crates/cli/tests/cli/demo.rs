//! `demo`.

use crate::support::{Run, notifier, redacted, until};
use crate::trial::Trial;

#[test]
fn the_demo_ends_as_staged_and_reports_every_container() {
    let _bound = redacted();
    let run = notifier("demo").run();
    assert_eq!(run.code, 0, "{run}");
    insta::assert_snapshot!(run, @r#"
    exit 0
    --- stdout
    audit       0 of 1 notified
      rejected  127.B.16.12:8080  fd3e3cb0/app  answered 403 Forbidden: not allowed to reload
    legacy      0 of 1 notified  attempts p50 3 p99 3 max 3
      failed    127.B.0.1:32770  50d46c97/app  cannot connect: Connection refused (os error 111), 3 attempts
    batch       0 of 1 notified
      skipped   -  5dad8605/app  network mode `none` has no address
    catalog     0 of 1 notified
      skipped   -  3f09f91d/app  label NOTIFY_ME_CONTAINER_PORT: `eighty` is not a port (1-65535)
    mail        1 of 2 notified  p50 [time]  p99 [time]  max [time]
      skipped   -  2f44679d/app  its health is UNHEALTHY
    agent       3 of 3 notified  p50 [time]  p99 [time]  max [time]
    checkout    4 of 4 notified  p50 [time]  p99 [time]  max [time]
    classic     1 of 1 notified  p50 [time]  p99 [time]  max [time]
    orders      1 of 1 notified  p50 [time]  p99 [time]  max [time]
    ordinary-1  3 of 3 notified  p50 [time]  p99 [time]  max [time]
    ordinary-2  3 of 3 notified  p50 [time]  p99 [time]  max [time]
    pricing     2 of 2 notified  p50 [time]  p99 [time]  max [time]  attempts p50 3 p99 3 max 3
    search      3 of 3 notified  p50 [time]  p99 [time]  max [time]
    sessions    2 of 2 notified  p50 [time]  p99 [time]  max [time]
    28 containers: 22 delivered, 1 rejected, 1 failed, 1 gone, 3 skipped
    what to do:
      1 rejected  403                authentication failed: check the receiver's key (it must match NOTIFIER_SIGNING_SECRET) and its clock
      1 failed    unreachable        check that the container listens on that port on every address (0.0.0.0, ::), and that its security group allows the notifier
      1 skipped   health             check why the health check fails; NOTIFIER_HEALTH=ignore calls unhealthy containers too
      1 skipped   label              correct the labels in the task definition and deploy it
      1 skipped   network-mode-none  set the task's network mode to awsvpc, bridge or host
    not called (no opt-in or not running):
      checkout  did not opt in (3)
      frontend  did not opt in
      orders    the task is PENDING
    --- stderr
    aws     ECS, EC2 and SQS, simulated at http://127.0.0.1:[port]
    fleet   cluster demo with 15 services and 32 tasks, whose containers really listen on loopback
    daemon  as in `serve`, on the three simulated queues, with the real AWS SDK
    event   com.example.cache.clear {"cache":"prices"} with the id [uuid]


    what was staged, what was reported and what the containers received:
    ✓  checkout    4 delivered             4 calls  two revisions, two ports (bridge)
    ✓  search      3 delivered             3 calls  an address each (Fargate)
    ✓  agent       3 delivered             3 calls  one on each host (host mode)
    ✓  pricing     2 delivered             6 calls  fails twice, then works
    ✓  classic     1 delivered             1 call   is called by a bare GET
    ✓  sessions    1 delivered, 1 gone     2 calls  one of two is stopping: it answers 410
    ✓  orders      1 delivered             1 call   one runs, one starts, one drains
    ✓  audit       1 rejected              1 call   rejects: it is not retried
    ✓  legacy      1 failed                0 calls  refuses connections, three times
    ✓  mail        1 delivered, 1 skipped  1 call   one of two is unhealthy
    ✓  catalog     1 skipped               0 calls  wrong label: its port is not a number
    ✓  batch       1 skipped               0 calls  opted in without a network
    ✓  frontend    no opt-in               0 calls  did not opt in
    ✓  ordinary-…  6 delivered             6 calls  2 ordinary services (bridge)
    all 15 services ended as staged, 28 calls, each one signed, and [time] after the event was published
    "#);
}

#[test]
fn the_demo_in_json_is_one_object_a_line_and_a_summary() {
    let run = notifier("demo --services 0 --tasks 1 --format json --quiet").run();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
    let lines: Vec<&str> = run.stdout.lines().collect();
    let (summary, records) = lines.split_last().unwrap();
    assert!(summary.starts_with(r#"{"summary":{"broadcast":""#), "{summary}");
    assert!(
        summary.contains(
            r#""total":18,"delivered":12,"rejected":1,"failed":1,"gone":1,"skipped":3,"pending":0"#
        ),
        "{summary}"
    );
    assert_eq!(records.len(), 18);
    for name in [
        "broadcast",
        "account",
        "region",
        "cluster",
        "service",
        "task",
        "container",
        "address",
        "outcome",
        "reason",
        "attempts",
        "status",
        "latency_ms",
        "cause",
        "advice",
        "zone",
    ] {
        assert!(records.iter().all(|record| record.contains(&format!(r#""{name}":"#))), "{name}: {run}");
    }
}

#[test]
fn the_demo_fits_a_narrow_terminal_and_is_as_large_as_asked_for() {
    let run = notifier("demo --services 12 --tasks 5").env("COLUMNS", "60").run();
    assert_eq!(run.code, 0, "{run}");
    for line in run.stdout.lines().chain(run.stderr.lines()) {
        assert!(line.chars().count() <= 60, "{line}");
    }
    assert!(run.stderr.contains("60 delivered"), "{run}");
}

#[test]
fn a_kept_demo_is_a_trial_for_other_commands() {
    let demo = Trial::start(notifier("demo --keep --services 0"), "ecs-task-notifier drop");
    assert_eq!(demo.variables["AWS_REGION"], "us-east-1");
    // Some containers of the demo's fleet cannot be notified.
    let expected = [
        ("plan --cluster demo", 0),
        ("send --cluster demo", 1),
        ("publish --cluster demo --wait", 1),
        ("report last", 1),
        ("history", 0),
        ("send --failed-of last", 1),
        ("redrive --dry-run", 0),
        ("drop --code rejected --reason 'not needed'", 0),
    ];
    let commands = demo.commands();
    let runs: Vec<(&str, Run)> =
        commands.iter().map(|command| (command.as_str(), demo.run(command))).collect();
    let codes: Vec<(&str, i32)> = runs.iter().map(|(command, run)| (*command, run.code)).collect();
    assert_eq!(codes, expected, "{runs:#?}");
    for (command, outcome) in [
        ("plan", "pricing"),
        ("publish", "1 rejected"),
        ("report", "answered 403 Forbidden"),
        ("history", "com.example.cache.clear"),
        ("send --failed-of", "answered 403 Forbidden"),
        ("redrive", "legacy"),
        ("drop", "audit"),
    ] {
        let (_, run) = runs.iter().find(|(found, _)| found.starts_with(command)).unwrap();
        assert!(run.stdout.contains(outcome), "{command}: {run}");
    }

    let latest = demo.run("history --limit 1 --format json").stdout;
    let latest: serde_json::Value = serde_json::from_str(latest.lines().next().unwrap()).unwrap();
    let cancelled = demo.run(&format!("cancel {}", latest["broadcast"].as_str().unwrap()));
    assert_eq!(cancelled.code, 0, "{cancelled}");
    // Sent back, processed by the demo's daemon, and in the dead letters again.
    let redriven = demo.run("redrive --service audit");
    assert_eq!(redriven.code, 0, "{redriven}");
    until("the letters are back", || demo.run("redrive --dry-run").stdout.contains("audit"));

    let end = demo.end();
    assert_eq!(end.code, 0, "{end}");
    assert!(end.stderr.replace('\n', " ").contains("each one signed"), "{end}");
}

#[test]
fn a_kept_demo_warns_about_calls_without_a_valid_signature() {
    let demo = Trial::start(notifier("demo --keep --services 0"), "ecs-task-notifier drop");
    let send = demo.run("send --cluster demo --service search --signing-secret none");
    assert_eq!(send.code, 0, "{send}");
    let end = demo.end();
    assert_eq!(end.code, 0, "{end}");
    assert!(end.stderr.replace('\n', " ").contains("received a call without a valid signature"), "{end}");
}
