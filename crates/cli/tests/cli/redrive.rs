//! `redrive` and `drop`, with a daemon that buries and takes up again.

use crate::pipeline::{Pipeline, by_service, fleet, json, service};
use crate::support::{Sim, notifier};

/// Says no to the first event, and yes to the second.
const CONVINCED: &str = "answers = [{ status = 403 }, { status = 200 }]";
const STUBBORN: &str = "answers = [{ status = 404 }]";

/// Which services' letters a run of `redrive` or `drop` found, and what became of each.
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
fn whoever_rejected_and_then_accepts_is_delivered_in_the_same_report() {
    let services = [service("audit", 1, CONVINCED), service("ledger", 1, CONVINCED), service("web", 1, "")];
    let pipeline = Pipeline::new(&fleet(&services));
    let _daemon = pipeline.serve("");
    let first = pipeline.broadcast();
    assert_eq!(first.code, 1, "{first}");
    let report = by_service(&first);
    for name in ["audit", "ledger"] {
        assert_eq!(report[name]["outcome"], "rejected", "{first}");
        assert_eq!((&report[name]["status"], &report[name]["cause"]), (&403.into(), &"answered".into()));
        assert!(report[name]["advice"].as_str().unwrap().contains("a key that signs here"), "{first}");
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
    assert_eq!(redrive(""), [], "no letter is left");
    assert_eq!(pipeline.received().len(), 5, "who was told is not called again");
}

#[test]
fn letters_are_for_tasks_and_go_where_these_are_by_now() {
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
fn what_is_dropped_stays_untold_in_the_report_with_the_reason() {
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
    assert!(unsaid.code == 2 && unsaid.stderr.contains("nothing says which letters"), "{unsaid}");
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
fn without_a_queue_or_its_dead_letters_there_is_nothing_to_sort() {
    let none = notifier("redrive").run();
    assert!(none.code == 2 && none.stderr.contains("error: no queue is named"), "{none}");
    let sim = Sim::with_queues("[[cluster]]\nname = 'prod'", &["tasks"]);
    let without = sim.notifier("redrive --tasks-queue-url").arg(&sim.queue_url("tasks")).run();
    assert!(without.code == 2 && without.stderr.contains("has no dead-letter queue"), "{without}");
}
