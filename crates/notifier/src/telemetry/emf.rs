//! `CloudWatch`'s embedded metric format: metrics as lines of a function's log. Pure.
//!
//! The conventions are those of Powertools for AWS Lambda: the dimension `service`, names in Pascal case, and `ColdStart`
//! as an object of its own with `function_name`.
//!
//! Source: Amazon `CloudWatch` User Guide, "Specification: Embedded metric format".

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::tally::Tally;
use crate::aws::calls::Results;
use crate::ledger::LedgerWrites;
use crate::model::latency::millis;
use crate::model::{Outcome, StageName};

/// Most values of one metric in one line. Source: the same.
const VALUES_MAX: usize = 100;
/// The dimension `service` of every line.
const SERVICE: &str = "ecs-task-notifier";

/// The namespace and dimensions of a function's metrics.
#[derive(Clone, Debug)]
pub struct Emf {
    /// The namespace in `CloudWatch`.
    pub namespace: String,
    /// The stage of the function.
    pub stage: StageName,
    /// Name of the function.
    pub function: String,
    /// Level of the lines: that of the log, so that Lambda's filter lets them through.
    pub level: tracing::Level,
}

/// What was counted in one invocation.
#[derive(Debug)]
pub struct Invocation {
    /// The progress events.
    pub tally: Tally,
    /// Requests to AWS.
    pub calls: Results,
    /// Items written to the ledger.
    pub writes: LedgerWrites,
}

impl Emf {
    /// The first line of a process.
    pub fn cold_start(&self, unix_millis: i64) -> String {
        let metrics = [json!({"Name": "ColdStart", "Unit": "Count"})];
        let mut line = self.line(unix_millis, &["service", "function_name"], &metrics);
        line.insert("function_name".to_owned(), json!(self.function));
        line.insert("ColdStart".to_owned(), json!(1));
        Value::Object(line).to_string()
    }

    /// The line of one invocation. A metric has at most a hundred values in a line: where there are more, further lines
    /// have the rest of them.
    pub fn invocation(&self, invocation: &Invocation, unix_millis: i64) -> Vec<String> {
        let counts = self.counts(invocation);
        let times = times(&invocation.tally);
        let lines =
            times.iter().map(|(_, all)| all.len().div_ceil(VALUES_MAX)).max().unwrap_or_default().max(1);
        let line = |index: usize| {
            let counts = counts.iter().filter(|_| index == 0);
            let counts = counts.map(|(name, count)| (*name, "Count", json!(count)));
            let times = times.iter().filter_map(|(name, all)| {
                let values = all.chunks(VALUES_MAX).nth(index)?;
                let values: Vec<f64> = values.iter().map(|time| millis(*time)).collect();
                Some((*name, "Milliseconds", json!(values)))
            });
            let all: Vec<_> = counts.chain(times).collect();
            let metrics = all.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit}));
            let metrics: Vec<_> = metrics.collect();
            let mut line = self.line(unix_millis, &["service", "Stage"], &metrics);
            line.insert("Stage".to_owned(), json!(self.stage.as_str()));
            line.extend(all.into_iter().map(|(name, _, value)| (name.to_owned(), value)));
            Value::Object(line).to_string()
        };
        (0..lines).map(line).collect()
    }

    /// Counts are present when they are zero too: an alarm on a share needs both of its parts.
    fn counts(&self, Invocation { tally, calls, writes }: &Invocation) -> Vec<(&'static str, u64)> {
        let of = |outcome| tally.with_outcome(outcome);
        let mut counts = match self.stage {
            StageName::Services => vec![("PartsFound", tally.parts)],
            StageName::Tasks => vec![("EndpointsFound", tally.endpoints)],
            StageName::Registry => Vec::new(),
            StageName::Notify => vec![
                ("Delivered", of(Outcome::Delivered)),
                ("Rejected", of(Outcome::Rejected)),
                ("Failed", of(Outcome::Failed)),
                ("Gone", of(Outcome::Gone)),
                ("Retried", tally.retries),
            ],
        };
        counts.extend([
            ("Skipped", of(Outcome::Skipped)),
            ("AwsCalls", calls.total()),
            ("AwsThrottles", calls.throttled),
            ("LedgerWrites", writes.ok),
            ("LedgerWritesFailed", writes.failed),
        ]);
        counts
    }

    fn line(&self, unix_millis: i64, dimensions: &[&str], metrics: &[Value]) -> Map<String, Value> {
        let directive = json!({"Namespace": self.namespace, "Dimensions": [dimensions], "Metrics": metrics});
        let mut line = Map::new();
        line.insert("_aws".to_owned(), json!({"Timestamp": unix_millis, "CloudWatchMetrics": [directive]}));
        line.insert("level".to_owned(), json!(self.level.as_str()));
        line.insert("service".to_owned(), json!(SERVICE));
        line
    }
}

/// The single times of an invocation.
fn times(tally: &Tally) -> Vec<(&'static str, &[Duration])> {
    let Some(samples) = &tally.samples else { return Vec::new() };
    vec![
        ("AttemptLatency", samples.attempts.as_slice()),
        ("EventAge", samples.ages.as_slice()),
        ("PendingAge", samples.pending.as_slice()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emf(stage: StageName) -> Emf {
        let (namespace, function) = ("EcsTaskNotifier".to_owned(), "ecs_service_task_notify".to_owned());
        Emf { namespace, stage, function, level: tracing::Level::INFO }
    }

    fn invocation(attempts: usize) -> Invocation {
        let mut tally = Tally::new(false).with_samples();
        let samples = tally.samples.as_mut().unwrap();
        samples.attempts = vec![Duration::from_micros(1_500); attempts];
        samples.ages = vec![Duration::from_secs(2); attempts.min(1)];
        Invocation {
            tally,
            calls: Results { ok: 2, throttled: 1, ..Results::default() },
            writes: LedgerWrites::default(),
        }
    }

    #[test]
    fn an_invocation_is_one_line_with_dimensions_and_metrics() {
        let lines = emf(StageName::Notify).invocation(&invocation(2), 1_795_600_000_000);
        assert_eq!(lines.len(), 1);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["service", "Stage"]]));
        assert_eq!((&line["service"], &line["Stage"]), (&json!("ecs-task-notifier"), &json!("notify")));
        assert_eq!(
            (&line["Delivered"], &line["AwsCalls"], &line["AwsThrottles"]),
            (&json!(0), &json!(3), &json!(1))
        );
        assert_eq!((&line["AttemptLatency"], &line["EventAge"]), (&json!([1.5, 1.5]), &json!([2000.0])));
        assert_eq!(line.get("PendingAge"), None);
        // Each metric that is named has a value, and nothing else does.
        let named = directive["Metrics"].as_array().unwrap();
        assert!(named.iter().all(|metric| line.get(metric["Name"].as_str().unwrap()).is_some()));
        assert_eq!(line.as_object().unwrap().len(), named.len() + 4);
    }

    #[test]
    fn no_value_is_lost_where_a_line_has_no_room_for_it() {
        let lines = emf(StageName::Notify).invocation(&invocation(230), 1);
        let values = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let sizes = values
            .map(|line| (line["AttemptLatency"].as_array().unwrap().len(), line.get("Delivered").is_some()));
        let sizes: Vec<_> = sizes.collect();
        assert_eq!(sizes, [(100, true), (100, false), (30, false)]);
    }

    #[test]
    fn each_stage_counts_what_it_finds() {
        for (stage, name) in [(StageName::Services, "PartsFound"), (StageName::Tasks, "EndpointsFound")] {
            let lines = emf(stage).invocation(&invocation(0), 1);
            let line: Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!((&line[name], line.get("Delivered")), (&json!(0), None));
        }
        let line: Value = serde_json::from_str(&emf(StageName::Tasks).cold_start(1)).unwrap();
        assert_eq!(
            (&line["ColdStart"], &line["function_name"]),
            (&json!(1), &json!("ecs_service_task_notify"))
        );
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["service", "function_name"]]));
    }
}
