//! What becomes of each task, in the log: without a ledger the only place where a process without a terminal keeps it.
//!
//! Fields are escaped where they are written; what others named is made printable in the messages.

use tracing::{debug, info, warn};

use crate::base::text::quoted;
use crate::model::Member;
use crate::model::{Cause, Outcome, Settled, Skipped};
use crate::model::{Progress, Step};

/// Writes every step of a broadcast to the log: retries at level debug, whoever was not told as a warning, the rest at level info.
#[must_use]
pub fn logged() -> Progress {
    Progress::new(log)
}

fn log(step: Step) {
    match step {
        Step::Services { broadcast, parts, not_targeted } => {
            let (broadcast, parts, not_targeted) = (broadcast.as_str(), parts.len(), not_targeted.len());
            info!(
                broadcast,
                parts,
                bystanders = not_targeted,
                "Found {parts} parts of the scope to look into"
            );
        }
        Step::Tasks { broadcast, service, endpoints, not_targeted, .. } => {
            let (broadcast, endpoints, not_targeted) =
                (broadcast.as_str(), endpoints.len(), not_targeted.len());
            info!(
                broadcast,
                service,
                endpoints,
                bystanders = not_targeted,
                "Found {endpoints} endpoints of {}",
                quoted(&service)
            );
        }
        Step::Skipped(skipped) => skip(&skipped),
        Step::Retrying { broadcast, endpoint, attempt, reason, wait } => {
            let broadcast = broadcast.as_str();
            let (task, address) = (endpoint.member.task, endpoint.address.to_string());
            debug!(
                broadcast,
                task,
                address,
                attempt,
                reason,
                ?wait,
                "Attempt {attempt} at {address} failed: {reason}"
            );
        }
        Step::Settled(settled) => end(settled),
    }
}

fn skip(Skipped { broadcast, skip }: &Skipped) {
    let Member { cluster, service, task, container, .. } = &skip.member;
    let (broadcast, reason) = (broadcast.as_str(), skip.reason.to_string());
    let (outcome, code) = (Outcome::Skipped.as_str(), skip.reason.code());
    warn!(
        broadcast,
        cluster,
        service,
        task,
        container,
        outcome,
        code,
        reason,
        "Skipped {}: {reason}",
        quoted(service)
    );
}

fn end(Settled { broadcast, endpoint, result }: Settled) {
    let Member { cluster, service, task, container, .. } = &endpoint.member;
    let (broadcast, address) = (broadcast.as_str(), endpoint.address.to_string());
    let outcome = result.outcome.as_str();
    let latency_ms = crate::model::latency::millis(result.latency);
    let code = result.cause.map(Cause::as_str);
    // A level is a constant of the place that logs.
    macro_rules! log {
        ($level:ident) => {
            $level!(
                broadcast,
                cluster,
                service,
                task,
                container,
                address,
                outcome,
                code,
                reason = result.reason,
                attempts = result.attempts,
                status = result.status,
                latency_ms,
                "Task of {} at {address}: {outcome}",
                quoted(service)
            )
        };
    }
    if result.outcome.is_told() {
        log!(info);
    } else {
        log!(warn);
    }
}
