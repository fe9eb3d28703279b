//! One opted-in container as scripts read it: the names and their order are promises.

use serde::Serialize;
use wire::BroadcastId;

use super::advice;
use crate::model::Delivery;
use crate::model::latency::millis;
use crate::model::{Cause, Outcome};
use crate::model::{Endpoint, Member, NotTargeted, Skip};

/// One opted-in container: a JSON object, or a row of CSV. What is not known is `null`, in CSV empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line<'a> {
    /// Id of the broadcast.
    pub broadcast: Option<&'a str>,
    /// Name or ARN of the cluster, as the broadcast named it.
    pub cluster: Option<&'a str>,
    /// Name of the service, or the group of a task that no service started.
    pub service: Option<&'a str>,
    /// ARN of the task.
    pub task: Option<&'a str>,
    /// Name of the container.
    pub container: Option<&'a str>,
    /// Host address and host port.
    pub address: Option<String>,
    /// What became of it; `None` when nothing has yet.
    pub outcome: Option<Outcome>,
    /// Why it was not told.
    pub reason: Option<String>,
    /// HTTP requests made.
    pub attempts: Option<u32>,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// Milliseconds from the start of the last attempt to the end of its answer.
    pub latency_ms: Option<f64>,
    /// The kind of the reason.
    pub cause: Option<Cause>,
    /// What to do about it.
    pub advice: Option<&'static str>,
}

impl<'a> Line<'a> {
    /// What is known of a container.
    #[must_use]
    pub fn of_entry(entry: &'a Delivery, broadcast: &'a BroadcastId) -> Self {
        Self::new(entry, &entry.member, Some(broadcast))
    }

    /// What is known of this member.
    pub(super) fn new(entry: &Delivery, member: &'a Member, broadcast: Option<&'a BroadcastId>) -> Self {
        Self {
            address: entry.address.map(|address| address.to_string()),
            outcome: entry.outcome,
            reason: entry.reason.clone(),
            attempts: entry.attempts,
            status: entry.status,
            latency_ms: entry.latency.map(millis),
            cause: entry.cause,
            advice: advice(entry),
            ..Self::of_member(member, broadcast)
        }
    }

    /// A container that cannot be called.
    #[must_use]
    pub fn of_skip(skip: &'a Skip) -> Self {
        Self::new(&Delivery::from(skip), &skip.member, None)
    }

    /// An endpoint of which nothing more is known.
    #[must_use]
    pub fn of_endpoint(endpoint: &'a Endpoint) -> Self {
        Self { address: Some(endpoint.address.to_string()), ..Self::of_member(&endpoint.member, None) }
    }

    /// A container or task that nobody asked to call.
    #[must_use]
    pub fn of_bystander(not_targeted: &'a NotTargeted) -> Self {
        Self { reason: Some(not_targeted.reason.to_string()), ..Self::of_member(&not_targeted.member, None) }
    }

    fn of_member(member: &'a Member, broadcast: Option<&'a BroadcastId>) -> Self {
        let known = |text: &'a String| (!text.is_empty()).then_some(text.as_str());
        Self {
            broadcast: broadcast.map(BroadcastId::as_str),
            cluster: known(&member.cluster),
            service: known(&member.service),
            task: known(&member.task),
            container: known(&member.container),
            ..Self::default()
        }
    }

    /// Whether the container was told, or had nobody left to tell.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_told)
    }
}
