//! What the metrics count of a broadcast.

use std::path::Path;

use lambdas::metrics::Reporter;
use notifier::model::{Outcome, StageName};
use notifier::telemetry::emf::Emf;
use serde_json::{Value, json};
use testkit::python;

use crate::FLEET;
use crate::setup::{Form, Setup, scope};

/// Each container counts once, by the outcome that the report has for it.
pub(crate) async fn metrics_count_each_container_once(form: Form) {
    let setup = Setup::new(form, FLEET).await;
    let report = setup.broadcast(scope()).await.report;
    let counts = report.counts();
    let expected = [counts.delivered, counts.rejected, counts.failed, counts.gone, counts.skipped]
        .map(|count| count as u64);
    assert_eq!(setup.metrics.outcomes().map(|(_, count)| count), expected);
    assert!(counts.delivered > 0 && counts.failed > 0 && counts.skipped > 0, "{counts:?}");
    assert_eq!(setup.notifier.ctx().ledger.writes().failed, 0);
    assert!(setup.notifier.ctx().ledger.writes().ok > report.entries().len() as u64);
}

/// What a notify function writes is valid by AWS's schema, and no attempt is missing.
#[tokio::test]
async fn the_metrics_of_a_function_are_valid_by_awss_schema() {
    let setup = Setup::new(Form::Functions, FLEET).await;
    let report = setup.broadcast(scope()).await.report;
    let sources = setup.notifier.metrics_sources();
    let emf = Emf {
        namespace: "EcsTaskNotifier".to_owned(),
        stage: StageName::Notify,
        function: "ecs_service_task_notify".to_owned(),
        level: tracing::Level::INFO,
    };
    let new = Reporter::new(emf, sources.calls, sources.ledger);
    let mut reporter = Reporter { metrics: setup.metrics.clone(), ..new };
    let [cold, first]: [String; 2] = reporter.lines().try_into().unwrap();
    let [second]: [String; 1] = reporter.lines().try_into().unwrap();
    judge(&[&cold, &first, &second].map(String::as_str).join("\n")).await;

    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let (cold, first, second) = (read(&cold), read(&first), read(&second));
    assert_eq!((&cold["ColdStart"], &cold["function_name"]), (&json!(1), &json!("ecs_service_task_notify")));
    let counts = report.counts();
    assert_eq!(first["Delivered"], counts.delivered);
    assert_eq!(first["Failed"], counts.failed);
    assert_eq!(first["Skipped"], counts.skipped);
    let requests: u32 = report.entries().iter().map(notifier::model::Delivery::requests).sum();
    assert_eq!(first["AttemptLatency"].as_array().unwrap().len(), requests as usize);
    let ended = report.entries().iter().filter(|entry| entry.outcome != Some(Outcome::Skipped)).count();
    assert_eq!(first["EventAge"].as_array().unwrap().len(), ended);
    assert!(first["AwsCalls"].as_u64().unwrap() > 0 && first["LedgerWrites"].as_u64().unwrap() > 0);
    for name in ["Delivered", "AwsCalls", "LedgerWrites"] {
        assert_eq!(second[name], 0, "{name} is counted once");
    }
    assert_eq!(second.get("AttemptLatency"), None);
}

/// Validates lines with the Python package `jsonschema`.
async fn judge(lines: &str) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms/emf.schema.json");
    let answer = python::answer("emf.py", &[schema.to_str().unwrap()], lines).await;
    assert_eq!(answer, "valid\n");
}
