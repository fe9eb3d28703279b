//! One opted-in container of a broadcast, and what became of it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency;
use super::{Cause, Outcome, Settled};
use super::{Endpoint, Member, Skip};

/// One opted-in container of a broadcast, and what became of it. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Who.
    pub member: Member,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// What became of it; `None` when nothing has yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it was not told, or not yet.
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
    /// Whether the container was told, or had nobody left to tell.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_told)
    }
}

impl From<&Settled> for Delivery {
    fn from(Settled { endpoint, result, .. }: &Settled) -> Self {
        Self {
            member: endpoint.member.clone(),
            address: Some(endpoint.address),
            outcome: Some(result.outcome),
            reason: result.reason.clone(),
            cause: result.cause,
            attempts: Some(result.attempts),
            status: result.status,
            latency: Some(result.latency),
        }
    }
}

impl From<&Skip> for Delivery {
    fn from(Skip { member, reason }: &Skip) -> Self {
        Self {
            member: member.clone(),
            outcome: Some(Outcome::Skipped),
            reason: Some(reason.to_string()),
            cause: Some(reason.cause()),
            ..Self::default()
        }
    }
}

impl From<&Endpoint> for Delivery {
    fn from(Endpoint { member, address, .. }: &Endpoint) -> Self {
        Self { member: member.clone(), address: Some(*address), ..Self::default() }
    }
}
