//! The log fields that the documents query.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::pipeline::{Pipeline, fleet, json, service};
use crate::support::until;

const OPERATE: &str = include_str!("../../../../docs/operate.md");

/// The documented query, line by line.
fn query() -> Vec<&'static str> {
    let start = OPERATE.find("fields @timestamp").expect("a query in docs/operate.md");
    let query = OPERATE.get(start..).unwrap().split("```").next().unwrap();
    query.lines().map(|line| line.trim_start_matches("| ").trim()).collect()
}

/// The fields of which the query requires at least one.
fn present() -> Vec<&'static str> {
    let filter = query().into_iter().find(|line| line.starts_with("filter ")).unwrap();
    assert!(filter.starts_with("filter broadcast = \"…\" and ("), "{filter}");
    filter.split("ispresent(").skip(1).map(|rest| rest.split(')').next().unwrap()).collect()
}

/// The log lines of the broadcast `b-1` to a service that always answers 503, filtered by the query.
fn found(flags: &str, mut is_over: impl FnMut(&Pipeline) -> bool) -> Vec<Value> {
    let pipeline = Pipeline::new(&fleet(&[service("work", 1, "answers = [{ status = 503 }]")]));
    let daemon =
        pipeline.notifier(&format!("serve --listen none --log-format json --attempts 1 {flags}")).start();
    assert_eq!(pipeline.notifier("publish -c prod --id b-1").run().code, 0);
    until("it is over", || is_over(&pipeline));
    let lines = json(&daemon.stop().stderr);
    let names = present();
    let matches =
        |line: &Value| line["broadcast"] == "b-1" && names.iter().any(|name| !line[*name].is_null());
    lines.into_iter().filter(matches).collect()
}

#[test]
fn the_documented_query_finds_retries_and_ends_with_broadcast_and_task_as_warnings() {
    let tried = |pipeline: &Pipeline| {
        let report = pipeline.notifier("report b-1 --format json").run();
        report.stdout.contains(r#""status":503"#)
    };
    let ended = |pipeline: &Pipeline| pipeline.notifier("redrive --dry-run").run().stdout.contains("1 of 1");
    let mut lines = found("", tried);
    lines.extend(found("--horizon-minutes 0", ended));
    let is = |line: &Value, name: &str, value: &str| line[name] == value && line["level"] == "WARN";
    let retried = lines.iter().find(|line| is(line, "code", "unfinished")).expect("a retry");
    let failed = lines.iter().find(|line| is(line, "outcome", "failed")).expect("an end");
    for line in [retried, failed] {
        assert!(line["task"].as_str().unwrap().contains(":task/prod/"), "{line}");
        assert!(line["reason"].as_str().unwrap().contains("answered 503"), "{line}");
    }
    let fields: BTreeSet<_> = query()[0].trim_start_matches("fields @timestamp, ").split(", ").collect();
    let logged: BTreeSet<_> =
        lines.iter().flat_map(|line| line.as_object().unwrap().keys()).map(String::as_str).collect();
    assert!(fields.is_subset(&logged), "{fields:?} {logged:?}");
}
