//! Progress events in the log. Without a ledger, the log is the only record of a process without a terminal.
//!
//! Fields are escaped by the log; untrusted names are made printable in messages.

use std::io;

use tracing::field::display;
use tracing::{debug, info, warn};
use wire::BroadcastId;

use crate::base::events::{Heard, WAITING_MAX};
use crate::base::text::quoted;
use crate::base::trace::TraceId;
use crate::model::latency::millis;
use crate::model::{Cause, Delivery, Member, Outcome, Progress, ProgressEvent};

/// Writes every event to the log: retries at level debug, containers that were not notified as warnings, the rest at
/// level info. A separate thread writes the log.
pub fn logged() -> io::Result<Progress> {
    let mut progress = Progress::default();
    progress.listen(WAITING_MAX).on_thread("log", |heard| match heard {
        Heard::Event(event) => write(&event),
        Heard::Missed(missed) => warn!(missed, "The log was too slow and lost {missed} events"),
    })?;
    Ok(progress)
}

fn write(event: &ProgressEvent) {
    let trace_id = event.trace().map(display);
    match event {
        ProgressEvent::Services { broadcast, parts, not_targeted, .. } => {
            let (broadcast, parts, bystanders) = (broadcast.as_str(), parts.len(), not_targeted.len());
            info!(broadcast, trace_id, parts, bystanders, "Found {parts} parts of the scope");
        }
        ProgressEvent::Tasks { broadcast, service, endpoints, not_targeted, .. } => {
            let (broadcast, endpoints) = (broadcast.as_str(), endpoints.len());
            let bystanders = not_targeted.len();
            info!(
                broadcast,
                trace_id,
                service,
                endpoints,
                bystanders,
                "Found {endpoints} endpoints of {}",
                quoted(service)
            );
        }
        // The transport that begins it has logged it.
        ProgressEvent::Wave { .. } => {}
        ProgressEvent::Retrying { broadcast, delivery, wait, .. } => {
            let (broadcast, task) = (broadcast.as_str(), delivery.member.task.as_str());
            let (address, attempt) = (address(delivery), delivery.requests());
            let reason = delivery.reason.as_deref().unwrap_or_default();
            debug!(
                broadcast,
                trace_id,
                task,
                address,
                attempt,
                reason,
                ?wait,
                "Attempt {attempt} at {address} failed: {reason}"
            );
        }
        ProgressEvent::Skipped { broadcast, trace, delivery }
        | ProgressEvent::Settled { broadcast, trace, delivery, .. } => {
            ended(broadcast, *trace, delivery);
        }
    }
}

fn address(delivery: &Delivery) -> String {
    delivery.address.map(|address| address.to_string()).unwrap_or_default()
}

fn ended(broadcast: &BroadcastId, trace: Option<TraceId>, delivery: &Delivery) {
    let Member { cluster, service, task, container, .. } = &*delivery.member;
    let outcome = delivery.outcome.map_or("pending", Outcome::as_str);
    let text = match &delivery.reason {
        Some(reason) if delivery.outcome == Some(Outcome::Skipped) => {
            format!("Skipped {}: {reason}", quoted(service))
        }
        _ => format!("Task of {} at {}: {outcome}", quoted(service), address(delivery)),
    };
    // A level must be a constant at each place that logs.
    macro_rules! log {
        ($level:ident) => {
            $level!(
                broadcast = broadcast.as_str(),
                trace_id = trace.map(display),
                cluster,
                service,
                task,
                container,
                address = delivery.address.map(display),
                outcome,
                code = delivery.cause.map(Cause::as_str),
                reason = delivery.reason,
                attempts = delivery.attempts,
                status = delivery.status,
                latency_ms = delivery.latency.map(millis),
                "{text}"
            )
        };
    }
    if delivery.is_notified() {
        log!(info);
    } else {
        log!(warn);
    }
}
