//! One delivery: the one record of it, from its last attempt to the ledger and the report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency;
use super::{Cause, Endpoint, Member, Outcome, SkipReason};

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

    /// Whether it has ended well: the container accepted the event, or its task had stopped.
    pub fn is_notified(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_notified)
    }

    /// The HTTP requests that were made for it, 0 where nothing is known.
    pub fn requests(&self) -> u32 {
        self.attempts.unwrap_or_default()
    }
}

impl From<&Endpoint> for Delivery {
    fn from(Endpoint { member, address, .. }: &Endpoint) -> Self {
        Self { member: member.clone(), address: Some(*address), ..Self::default() }
    }
}
