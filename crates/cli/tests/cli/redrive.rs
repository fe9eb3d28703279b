//! `redrive` and `drop`, with a daemon that moves messages to the dead letters and processes redriven ones.

use std::time::{Duration, Instant};

use crate::pipeline::{Pipeline, by_service, fleet, json, service};
use crate::support::{Sim, notifier, until};

/// Rejects the first event, and accepts the second.
const CONVINCED: &str = "answers = [{ status = 403 }, { status = 200 }]";
const STUBBORN: &str = "answers = [{ status = 404 }]";

/// The services of the dead letters that a run of `redrive` or `drop` found, and what was done with each.
fn became(run: &crate::support::Run) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let lines = json(&run.stdout);
    let letters = lines.iter().filter(|line| line["summary"].is_null());
    let mut all: Vec<_> = letters.map(|line| (text(&line["service"]), text(&line["became"]))).collect();
    all.sort();
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(service, became)| ((*service).to_owned(), (*became).to_owned())).collect()
}

#[test]
fn a_task_that_rejects_and_then_accepts_is_delivered_in_the_same_report() {
    let services = [service("audit", 1, CONVINCED), service("ledger", 1, CONVINCED), service("web", 1, "")];
    let pipeline = Pipeline::new(&fleet(&services));
    let _daemon = pipeline.serve("");
    let first = pipeline.broadcast();
    assert_eq!(first.code, 1, "{first}");
    let report = by_service(&first);
    for name in ["audit", "ledger"] {
        assert_eq!(report[name]["outcome"], "rejected", "{first}");
        assert_eq!((&report[name]["status"], &report[name]["cause"]), (&403.into(), &"answered".into()));
        assert!(report[name]["advice"].as_str().unwrap().contains("check the receiver's key"), "{first}");
    }
    assert_eq!((&report["web"]["outcome"], &report["web"]["advice"]), (&"delivered".into(), &().into()));

    let redrive = |arguments: &str| {
        let run = pipeline.notifier(&format!("redrive --format json {arguments}")).run();
        assert_eq!(run.code, 0, "{run}");
        became(&run)
    };
    let both = pairs(&[("audit", "left"), ("ledger", "left")]);
    for arguments in ["--dry-run", "--dry-run --broadcast b-1", "--dry-run --code rejected --stage notify"] {
        assert_eq!(redrive(arguments), both, "{arguments}");
    }
    for nobody in ["--broadcast b-2", "--service web", "--code failed", "--stage services"] {
        assert_eq!(redrive(nobody), [], "{nobody}");
    }
    assert_eq!(pipeline.received().len(), 3, "a dry run calls nobody");

    assert_eq!(redrive("--service audit"), pairs(&[("audit", "redriven")]));
    let (report, code) = pipeline.report();
    let outcomes = ["audit", "ledger", "web"].map(|name| report[name]["outcome"].clone());
    assert_eq!((outcomes, code), (["delivered", "rejected", "delivered"].map(Into::into), 1));
    assert_eq!(report["audit"]["attempts"], 2, "over both rounds");

    assert_eq!(redrive("--code rejected"), pairs(&[("ledger", "redriven")]));
    let (report, code) = pipeline.report();
    assert_eq!((&report[""]["summary"]["delivered"], code), (&3.into(), 0), "{report:?}");
    assert_eq!(redrive(""), [], "no dead letter is left");
    assert_eq!(pipeline.received().len(), 5, "a notified container is not called again");
}

#[test]
fn a_delivery_that_sqs_gave_up_has_failed_in_the_report_and_is_found_by_the_words_of_the_report() {
    let pipeline = Pipeline::new(&fleet(&[service("work", 2, "answers = [{ status = 503 }]")]));
    let daemon = pipeline.serve("");
    assert_eq!(pipeline.notifier("publish -c prod --id b-1").run().code, 0);
    until("both were tried and wait for more", || {
        let report = pipeline.notifier("report b-1 --format json").run();
        report.stdout.matches(r#""status":503"#).count() == 2
    });
    daemon.kill();
    pipeline.exhaust("tasks");

    let started = Instant::now();
    let report = pipeline.notifier("report b-1 --wait=80 --format json").run();
    assert!(report.code == 1 && started.elapsed() < Duration::from_secs(60), "{report}");
    let lines = json(&report.stdout);
    assert_eq!(lines[2]["summary"]["failed"], 2, "{report}");
    for line in &lines[..2] {
        let said = ["outcome", "cause", "status"].map(|name| line[name].clone());
        assert_eq!(serde_json::json!(said), serde_json::json!(["failed", "answered", 503]), "{report}");
        let reason = line["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("given up after ")
                && reason.ends_with(" attempts: answered 503 Service Unavailable"),
            "{reason}"
        );
        let advice = line["advice"].as_str().unwrap();
        assert!(advice.contains("service unavailable") && !advice.contains("busy"), "{advice}");
    }
    assert!(report.stderr.contains("`ecs-task-notifier redrive --broadcast b-1`"), "{report}");

    for word in ["503", "answered", "given-up"] {
        let dry = pipeline.notifier(&format!("redrive --dry-run --code {word}")).run();
        assert!(
            dry.code == 0 && dry.stdout.contains("2 of 2 dead letters matched; 2 left: 2 503\n"),
            "{dry}"
        );
        let row: Vec<_> = dry.stdout.lines().next().unwrap().split_whitespace().collect();
        assert_eq!((row[..3].to_vec(), row[4]), (vec!["left", "notify", "work"], "b-1"), "{dry}");
        assert!(row[3].len() == "01234567/app".len() && row[3].ends_with("/app"), "a short task id: {dry}");
    }
}

#[test]
fn a_filter_that_matches_nothing_says_what_there_is_and_a_misspelt_one_is_wrong_use() {
    let pipeline = Pipeline::new(&fleet(&[service("checkout", 1, STUBBORN), service("checkouts", 1, "")]));
    let _daemon = pipeline.serve("");
    assert_eq!(pipeline.broadcast().code, 1);
    for (wrong, near) in [("--service chekout", "checkout"), ("--code rejectd", "rejected")] {
        let run = pipeline.notifier(&format!("redrive {wrong}")).run();
        assert!(run.code == 2 && run.stderr.contains(&format!("did you mean {near}?")), "{run}");
    }
    let arn = pipeline.task("checkout").arn;
    let id: String = arn.rsplit('/').next().unwrap().chars().take(8).collect();
    let task = format!("tasks of the dead letters: {id} (1)");
    for (none, says) in [
        ("--service checkouts", "services of the dead letters: checkout (1)"),
        ("--code timed-out", "codes of the dead letters: 404 (1), answered (1), rejected (1)"),
        ("--broadcast b-2", "broadcasts of the dead letters: b-1 (1)"),
        ("--task 9999", task.as_str()),
    ] {
        let run = pipeline.notifier(&format!("redrive {none}")).run();
        assert!(run.code == 0 && run.stderr.contains(says), "{run}");
        assert!(run.stdout.contains("0 of 1 dead letter matched"), "{run}");
    }
}

#[test]
fn dead_letters_without_a_service_are_mentioned_and_those_of_a_cancelled_broadcast_call_no_container() {
    let pipeline = Pipeline::new(&fleet(&[service("audit", 1, CONVINCED)]));
    let _daemon = pipeline.serve("");
    assert_eq!(pipeline.broadcast().code, 1);
    pipeline.send("observer", "not json");
    until("the poison is in the dead letters", || {
        pipeline.notifier("redrive --dry-run --stage services").run().stdout.contains("1 of 1")
    });
    let run = pipeline.notifier("redrive --dry-run --stage services --service audit").run();
    assert!(run.code == 0 && run.stderr.contains("the dead letters have no services"), "{run}");

    assert_eq!(pipeline.notifier("cancel b-1").run().code, 0);
    for arguments in ["redrive --dry-run --stage notify", "redrive --stage notify"] {
        let run = pipeline.notifier(arguments).run();
        assert!(run.code == 0 && run.stderr.contains("warning: broadcast b-1 was cancelled"), "{run}");
    }
    let (report, _) = pipeline.report();
    assert_eq!(report["audit"]["cause"], "cancelled", "{report:?}");
    assert_eq!(pipeline.received().len(), 1);
}

#[test]
fn stages_whose_queue_is_not_named_are_named() {
    let pipeline = Pipeline::new(&fleet(&[service("audit", 1, STUBBORN)]));
    let _daemon = pipeline.serve("");
    assert_eq!(pipeline.broadcast().code, 1);
    pipeline.send("observer", "not json");
    let observer =
        || pipeline.notifier("").env("NOTIFIER_SERVICES_QUEUE_URL", "").env("NOTIFIER_TASKS_QUEUE_URL", "");
    until("the poison is in the dead letters", || {
        observer().arg("redrive").arg("--dry-run").run().stdout.contains("1 of 1 dead letter matched")
    });
    for run in [
        observer().arg("redrive").arg("--dry-run").run(),
        observer().arg("drop").arg("--all").arg("--reason").arg("x").run(),
    ] {
        for (stage, setting) in
            [("tasks", "NOTIFIER_SERVICES_QUEUE_URL"), ("notify", "NOTIFIER_TASKS_QUEUE_URL")]
        {
            let says =
                format!("the dead letters of stage {stage} are not read, because {setting} is not set");
            assert!(run.code == 0 && run.stderr.contains(&says), "{run}");
        }
        assert!(!run.stderr.contains("of stage services"), "{run}");
    }
    let all = pipeline.notifier("redrive --dry-run").run();
    assert!(all.stdout.contains("2 of 2") && !all.stderr.contains("are not read"), "{all}");
}

#[test]
fn a_redriven_message_goes_to_the_current_address_of_its_task() {
    let refuses = "answers = [{ status = 403 }]";
    let pipeline = Pipeline::new(&fleet(&[service("moved", 1, refuses), service("stopped", 1, refuses)]));
    let _daemon = pipeline.serve("");
    let first = by_service(&pipeline.broadcast());
    let (moved, stopped) = (pipeline.task("moved").arn, pipeline.task("stopped").arn);
    pipeline.move_address(&stopped, &moved);

    let redrive = pipeline.notifier("redrive --broadcast b-1").run();
    assert!(redrive.code == 0 && redrive.stdout.contains("2 of 2 dead letters matched"), "{redrive}");
    let (report, code) = pipeline.report();
    assert_eq!(code, 1, "{report:?}");
    assert_eq!(report["stopped"]["outcome"], "gone", "{report:?}");
    assert_eq!(report["moved"]["address"], first["stopped"]["address"], "where it is by now");
    let calls = pipeline.received();
    assert_eq!(calls.len(), 3, "the stopped task is not called again");
    assert_eq!(
        (&calls[2].task, calls[2].address.to_string().into()),
        (&moved, report["moved"]["address"].clone())
    );
}

#[test]
fn a_dropped_delivery_keeps_its_outcome_in_the_report_and_gets_the_reason() {
    let pipeline = Pipeline::new(&fleet(&[service("audit", 1, STUBBORN), service("web", 1, "")]));
    let _daemon = pipeline.serve("");
    assert_eq!(pipeline.broadcast().code, 1);

    let reason = |run: crate::support::Notifier| run.arg("--reason").arg("the endpoint was retired");
    let drop = |arguments: &str| {
        let run = reason(pipeline.notifier(&format!("drop --format json {arguments}"))).run();
        assert_eq!(run.code, 0, "{run}");
        became(&run)
    };
    let unsaid = reason(pipeline.notifier("drop --yes")).run();
    assert!(unsaid.code == 2 && unsaid.stderr.contains("no dead letters are selected"), "{unsaid}");
    assert_eq!(drop("--all"), pairs(&[("audit", "left")]), "without --yes");
    assert_eq!(drop("--service web --yes"), []);
    assert_eq!(drop("--code rejected --yes"), pairs(&[("audit", "dropped")]));

    let (report, code) = pipeline.report();
    assert_eq!((&report["audit"]["outcome"], code), (&"rejected".into(), 1));
    let why = report["audit"]["reason"].as_str().unwrap();
    assert_eq!(why, "answered 404 Not Found; dropped: the endpoint was retired");
    assert_eq!(report["audit"]["cause"], "dropped");
    assert_eq!(drop("--all --yes"), [], "it does not come back");
}

#[test]
fn without_a_queue_or_its_dead_letter_queue_nothing_is_redriven() {
    let none = notifier("redrive").run();
    assert!(none.code == 2 && none.stderr.contains("error: no queue is set"), "{none}");
    let sim = Sim::with_queues("[[cluster]]\nname = 'prod'", &["tasks"]);
    let without = sim.notifier("redrive --tasks-queue-url").arg(&sim.queue_url("tasks")).run();
    assert!(without.code == 2 && without.stderr.contains("has no dead-letter queue"), "{without}");
}
