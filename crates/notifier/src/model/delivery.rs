//! One delivery: the one record of it, from its last attempt to the ledger and the report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency;
use super::{Cause, Endpoint, Member, Outcome, SkipReason, Zone};

/// The delivery of a broadcast to one opted-in container. Unknown values are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The container.
    pub member: Arc<Member>,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// How it ended; `None` while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it was not notified, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The kind of that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// HTTP requests made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From the start of the last attempt to the end of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "latency::optional_millis")]
    pub latency: Option<Duration>,
    /// Its task started after the broadcast had found its fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The container's answer to a question, if it was to be kept: short JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The wave in which it is called, from 1; `None` if all are called at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u16>,
    /// The availability zone of its task, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
}

impl Delivery {
    /// A container that cannot be called.
    pub(crate) fn skipped(member: Arc<Member>, SkipReason { cause, text }: SkipReason) -> Self {
        let (outcome, reason, cause) = (Some(Outcome::Skipped), Some(text), Some(cause));
        Self { member, outcome, reason, cause, ..Self::default() }
    }

    /// The entry for containers of a service, or of the whole scope, that are not known.
    pub(crate) fn of_service(cluster: &str, service: &str, reason: &str) -> Self {
        let member = Arc::new(Member::of_service(cluster, service, ""));
        Self { member, reason: Some(reason.to_owned()), ..Self::default() }
    }

    /// The entry for a part of the scope that discovery could not look at.
    pub(crate) fn not_discovered(cluster: &str, service: &str, reason: &str) -> Self {
        let (outcome, cause) = (Some(Outcome::Failed), Some(Cause::Discovery));
        Self { outcome, cause, ..Self::of_service(cluster, service, reason) }
    }

    /// Whether it has ended well: the container accepted the event, or its task had stopped.
    pub fn is_notified(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_notified)
    }

    /// The HTTP requests that were made for it, 0 where nothing is known.
    pub fn requests(&self) -> u32 {
        self.attempts.unwrap_or_default()
    }

    /// This expected delivery as gone, because its task has stopped before a call.
    pub(crate) fn stopped(self) -> Self {
        let reason = Some("the task stopped before it was called".to_owned());
        Self { outcome: Some(Outcome::Gone), reason, cause: Some(Cause::Stopped), ..self }
    }

    /// This expected delivery as skipped, because its broadcast was cancelled after this number of requests.
    pub(crate) fn cancelled(self, requests: u32) -> Self {
        Self {
            outcome: Some(Outcome::Skipped),
            reason: Some("the broadcast was cancelled".to_owned()),
            cause: Some(Cause::Cancelled),
            attempts: Some(requests).filter(|requests| *requests > 0),
            status: None,
            latency: None,
            ..self
        }
    }

    /// This expected delivery as skipped, because its broadcast was stopped before its call.
    pub(crate) fn withheld(self) -> Self {
        Self {
            outcome: Some(Outcome::Skipped),
            reason: Some("the broadcast was stopped before this container was called".to_owned()),
            cause: Some(Cause::Stopped),
            attempts: None,
            status: None,
            latency: None,
            ..self
        }
    }

    /// The same, if a worker that was killed may have called it.
    pub(crate) fn withheld_after_a_receive(self) -> Self {
        let reason =
            "the broadcast was stopped; a worker that did not finish may have called this container before";
        Self { reason: Some(reason.to_owned()), ..self.withheld() }
    }

    /// This expected delivery as failed, because its message was given up for this reason. `state` is its state after the
    /// last attempt; cause and status stay, because they have more information.
    pub(crate) fn given_up(self, state: Option<Self>, reason: &str) -> Self {
        let attempts = state.as_ref().and_then(|state| state.attempts);
        let given_up = match attempts.unwrap_or_default() {
            0 => "given up".to_owned(),
            1 => "given up after 1 attempt".to_owned(),
            attempts => format!("given up after {attempts} attempts"),
        };
        // A pending delivery without a cause was only redriven.
        let last = state.and_then(|state| Some((state.reason?, state.cause?, state.status)));
        let (why, cause, status) = match last {
            Some((last, cause, status)) if reason.is_empty() || reason.ends_with(&last) => {
                (last, cause, status)
            }
            Some((last, cause, status)) => (format!("{last}; then: {reason}"), cause, status),
            None if reason.is_empty() => {
                ("its message was not finished in any of its receives".to_owned(), Cause::GivenUp, None)
            }
            None => (reason.to_owned(), Cause::GivenUp, None),
        };
        Self {
            outcome: Some(Outcome::Failed),
            reason: Some(format!("{given_up}: {why}")),
            cause: Some(cause),
            attempts,
            status,
            ..self
        }
    }

    /// This delivery as dropped for this reason. Repeated drops add the reason once.
    pub(crate) fn dropped(self, reason: &str) -> Self {
        let note = format!("dropped: {reason}");
        let reason = match self.reason.as_deref().filter(|known| !known.is_empty()) {
            Some(known) if known.ends_with(&note) => known.to_owned(),
            Some(known) => format!("{known}; {note}"),
            None => note,
        };
        Self {
            outcome: self.outcome.or(Some(Outcome::Failed)),
            reason: Some(reason),
            cause: Some(Cause::Dropped),
            ..self
        }
    }
}

impl From<&Endpoint> for Delivery {
    fn from(Endpoint { member, address, is_late, wave, zone, .. }: &Endpoint) -> Self {
        Self {
            member: member.clone(),
            address: Some(*address),
            late: *is_late,
            wave: *wave,
            zone: zone.clone(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(outcome: Option<Outcome>, reason: Option<&str>) -> Delivery {
        Delivery { outcome, reason: reason.map(str::to_owned), ..Delivery::default() }
    }

    #[test]
    fn a_dropped_delivery_keeps_its_outcome_and_says_so_once() {
        let rejected = delivery(Some(Outcome::Rejected), Some("it answered 404"));
        let once = rejected.dropped("retired");
        let expected = delivery(Some(Outcome::Rejected), Some("it answered 404; dropped: retired"));
        assert_eq!(once, Delivery { cause: Some(Cause::Dropped), ..expected });
        assert_eq!(once.clone().dropped("retired"), once);
    }

    #[test]
    fn a_delivery_that_is_given_up_keeps_the_result_of_its_last_attempt() {
        let tried = Delivery {
            cause: Some(Cause::Answered),
            status: Some(503),
            attempts: Some(15),
            ..delivery(None, Some("answered 503 Service Unavailable"))
        };
        let given_up = |state: &Delivery, reason| Delivery::default().given_up(Some(state.clone()), reason);
        let failed = given_up(&tried, "not notified after 3 attempts: answered 503 Service Unavailable");
        let reason = Some("given up after 15 attempts: answered 503 Service Unavailable".to_owned());
        assert_eq!(failed, Delivery { outcome: Some(Outcome::Failed), reason, ..tried.clone() });
        assert_eq!(given_up(&tried, ""), failed, "SQS moves a message without a reason");

        let other = given_up(&tried, "the stage panicked: boom").reason.unwrap();
        assert_eq!(
            other,
            "given up after 15 attempts: answered 503 Service Unavailable; then: the stage panicked: boom"
        );
        let uncalled = given_up(&delivery(None, Some("sent back to work")), "boom");
        assert_eq!(uncalled.reason.as_deref(), Some("given up: boom"));
        assert_eq!(uncalled.cause, Some(Cause::GivenUp));
    }
}
