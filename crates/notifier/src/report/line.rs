//! One opted-in container as scripts read it. The names and their order are part of the interface.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::Serialize;
use wire::BroadcastId;

use super::answers::Json;
use super::{advice, advice_in_wave};
use crate::model::Delivery;
use crate::model::latency::millis;
use crate::model::{Cause, Outcome};
use crate::model::{Endpoint, Member, NotTargeted, Zone};

/// One opted-in container: a JSON object, or a row of CSV. Unknown values are `null`, in CSV empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields of `Member` and `Delivery`, with their documentation")]
pub struct Line<'a> {
    pub broadcast: Option<&'a str>,
    pub account: Option<&'a str>,
    pub region: Option<&'a str>,
    pub cluster: Option<&'a str>,
    pub service: Option<&'a str>,
    pub task: Option<&'a str>,
    pub container: Option<&'a str>,
    pub address: Option<SocketAddr>,
    /// The outcome; `None` if pending.
    pub outcome: Option<Outcome>,
    /// Why it was not notified.
    pub reason: Option<Cow<'a, str>>,
    pub attempts: Option<u32>,
    pub status: Option<u16>,
    /// Milliseconds from the start of the last attempt to the end of its answer.
    pub latency_ms: Option<f64>,
    pub cause: Option<Cause>,
    /// What to do about it.
    pub advice: Option<&'static str>,
    /// Whether its task started after the broadcast had found its fleet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The wave in which it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<u16>,
    /// Its answer to a question, if that is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Json<'a>>,
    /// The availability zone of its task.
    pub zone: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// A delivery of this broadcast; a plan has none.
    pub fn of_delivery(delivery: &'a Delivery, broadcast: Option<&'a BroadcastId>) -> Self {
        Self {
            broadcast: broadcast.map(BroadcastId::as_str),
            address: delivery.address,
            outcome: delivery.outcome,
            reason: delivery.reason.as_deref().map(Cow::Borrowed),
            attempts: delivery.attempts,
            status: delivery.status,
            latency_ms: delivery.latency.map(millis),
            cause: delivery.cause,
            advice: advice(delivery),
            late: delivery.late,
            wave: delivery.wave,
            answer: delivery.answer.as_deref().and_then(Json::kept),
            zone: delivery.zone.as_ref().map(Zone::as_str),
            ..Self::of_member(&delivery.member)
        }
    }

    /// An endpoint without a delivery.
    pub fn of_endpoint(endpoint: &'a Endpoint) -> Self {
        let zone = endpoint.zone.as_ref().map(Zone::as_str);
        Self { address: Some(endpoint.address), zone, ..Self::of_member(&endpoint.member) }
    }

    /// A container or task that is not targeted.
    pub fn of_not_targeted(not_targeted: &'a NotTargeted) -> Self {
        let reason = Some(Cow::Owned(not_targeted.reason.to_string()));
        Self { reason, ..Self::of_member(&not_targeted.member) }
    }

    /// The same in a broadcast whose latest wave is known.
    pub fn in_wave(delivery: &'a Delivery, broadcast: &'a BroadcastId, latest: Option<u16>) -> Self {
        Self { advice: advice_in_wave(delivery, latest), ..Self::of_delivery(delivery, Some(broadcast)) }
    }

    /// The same without what only JSON has: every row of a CSV file has the same columns.
    #[must_use]
    pub fn columns(self) -> Self {
        Self { late: false, wave: None, answer: None, ..self }
    }

    fn of_member(member: &'a Member) -> Self {
        let known = |text: &'a String| (!text.is_empty()).then_some(text.as_str());
        Self {
            account: known(&member.account),
            region: known(&member.region),
            cluster: known(&member.cluster),
            service: known(&member.service),
            task: known(&member.task),
            container: known(&member.container),
            ..Self::default()
        }
    }
}
