//! What became of each task, in the log: without a ledger the only place where it is kept.

use notifier::fleet::Member;
use notifier::outcome::{Outcome, Settled, Skipped};
use notifier::progress::{Progress, Step};
use tracing::{info, warn};

/// Writes every step of a broadcast to the log.
#[must_use]
pub fn logged() -> Progress {
    Progress::new(log)
}

fn log(step: Step) {
    match step {
        Step::Services { broadcast, parts, bystanders } => {
            let (broadcast, bystanders) = (broadcast.as_str(), bystanders.len());
            info!(broadcast, parts, bystanders, "Found {parts} services to look into");
        }
        Step::Tasks { broadcast, service, endpoints, bystanders } => {
            let (broadcast, endpoints, bystanders) = (broadcast.as_str(), endpoints.len(), bystanders.len());
            info!(broadcast, service, endpoints, bystanders, "Found {endpoints} endpoints of {service}");
        }
        Step::Skipped(Skipped { broadcast, skip }) => {
            let Member { cluster, service, task, container, .. } = &skip.member;
            let (broadcast, reason) = (broadcast.as_str(), skip.reason.to_string());
            let outcome = Outcome::Skipped.as_str();
            warn!(
                broadcast,
                cluster, service, task, container, outcome, reason, "Skipped {container}: {reason}"
            );
        }
        Step::Retrying { endpoint, attempt, reason, wait } => {
            let (task, address) = (&endpoint.member.task, endpoint.address.to_string());
            info!(task, address, attempt, reason, ?wait, "Attempt {attempt} at {address} failed");
        }
        Step::Settled(Settled { broadcast, endpoint, result }) => {
            let Member { cluster, service, task, container, .. } = &endpoint.member;
            let (broadcast, address) = (broadcast.as_str(), endpoint.address.to_string());
            let outcome = result.outcome.as_str();
            let latency_ms = u64::try_from(result.latency.as_millis()).unwrap_or(u64::MAX);
            info!(
                broadcast,
                cluster,
                service,
                task,
                container,
                address,
                outcome,
                reason = result.reason,
                attempts = result.attempts,
                status = result.status,
                latency_ms,
                "Task at {address}: {outcome}"
            );
        }
    }
}
