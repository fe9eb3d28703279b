//! The metrics of a process, by their names. Pure.

use super::depths::QueueDepth;
use super::prometheus::{Kind, Text};
use super::registry::{self, RegisteredCluster};
use super::tally::Tally;
use crate::aws::budget::Waits;
use crate::aws::calls::Count;
use crate::ledger::LedgerWrites;
use crate::model::Outcome;

/// What is counted elsewhere than in the progress events.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) calls: Vec<Count>,
    pub(super) waits: Waits,
    /// Calls that wait for the budget now.
    pub(super) waiting: usize,
    pub(super) writes: LedgerWrites,
    pub(super) registry: Vec<RegisteredCluster>,
    /// Events that a listener missed.
    pub(super) missed: [(&'static str, u64); 2],
    pub(super) depths: Vec<QueueDepth>,
}

/// The text of all metrics.
pub(super) fn text(tally: &Tally, others: &Others) -> String {
    let mut text = Text::default();
    let build = "ecs_task_notifier_build_info";
    text.metric(build, Kind::Gauge, "Version of the program; always 1.");
    text.sample(build, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    deliveries(&mut text, tally);
    let attempts = "ecs_task_notifier_attempts_total";
    text.metric(attempts, Kind::Counter, "HTTP requests to tasks, by result.");
    for (result, count) in tally.attempts() {
        text.sample(attempts, &[("result", result)], count);
    }
    for (name, help, histogram) in [
        (
            "ecs_task_notifier_attempt_duration_seconds",
            "From the start of an HTTP request to the end of its answer.",
            &tally.attempt_seconds,
        ),
        (
            "ecs_task_notifier_delivery_age_seconds",
            "From the time of an event to the outcome of its delivery to one task.",
            &tally.age_seconds,
        ),
        (
            "ecs_task_notifier_broadcast_duration_seconds",
            "From the request of a broadcast to one cluster to its last outcome, if this process did all of it.",
            &tally.broadcast_seconds,
        ),
    ] {
        text.histogram(name, help, histogram);
    }
    aws(&mut text, others);
    let writes = "ecs_task_notifier_ledger_writes_total";
    text.metric(writes, Kind::Counter, "Items written to the ledger, by result.");
    text.sample(writes, &[("result", "ok")], others.writes.ok);
    text.sample(writes, &[("result", "failed")], others.writes.failed);
    let missed = "ecs_task_notifier_events_missed_total";
    text.metric(
        missed,
        Kind::Counter,
        "Progress events that the log missed, and spans that the collector missed.",
    );
    for (listener, count) in others.missed {
        text.sample(missed, &[("listener", listener)], count);
    }
    depths(&mut text, &others.depths);
    if !others.registry.is_empty() {
        registry::text(&mut text, &others.registry);
    }
    text.into_string()
}

fn deliveries(text: &mut Text, tally: &Tally) {
    let name = "ecs_task_notifier_deliveries_total";
    text.metric(name, Kind::Counter, "Deliveries that have ended, by outcome.");
    for one in tally.deliveries() {
        for (outcome, count) in Outcome::ALL.iter().zip(one.counts) {
            let place = [("account", one.account), ("region", one.region), ("cluster", one.cluster)];
            let rest = one.service.map(|service| ("service", service));
            let labels = place.into_iter().chain(rest).chain([("outcome", outcome.as_str())]);
            text.sample(name, &labels.collect::<Vec<_>>(), count);
        }
    }
}

fn aws(text: &mut Text, others: &Others) {
    let calls = "ecs_task_notifier_aws_calls_total";
    text.metric(calls, Kind::Counter, "Requests to AWS, with retries, by operation and result.");
    for Count { service, operation, results, .. } in &others.calls {
        for (result, count) in results.iter() {
            let labels = [("service", service.as_str()), ("operation", operation), ("result", result)];
            text.sample(calls, &labels, count);
        }
    }
    let waiting = "ecs_task_notifier_aws_budget_waiting";
    text.metric(waiting, Kind::Gauge, "Requests to AWS that wait for the budget now.");
    text.sample(waiting, &[], others.waiting);
    let waits = "ecs_task_notifier_aws_budget_waits_total";
    text.metric(waits, Kind::Counter, "Requests to AWS that had to wait for the budget.");
    text.sample(waits, &[], others.waits.calls);
    let seconds = "ecs_task_notifier_aws_budget_wait_seconds_total";
    text.metric(seconds, Kind::Counter, "Time that requests to AWS waited for the budget.");
    text.sample(seconds, &[], others.waits.time.as_secs_f64());
}

fn depths(text: &mut Text, depths: &[QueueDepth]) {
    let name = "ecs_task_notifier_queue_messages";
    text.metric(
        name,
        Kind::Gauge,
        "Messages on the queues, as SQS counted them when they were last asked for.",
    );
    for depth in depths {
        for (state, count) in depth.by_state() {
            text.sample(name, &[("queue", depth.queue.as_str()), ("state", state)], count);
        }
    }
}
