//! The contents of a ledger's items, as JSON. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::{Broadcast, BroadcastId, Draft, Event, ObserverMessage, Pace, PartId};

use crate::model::arn::{is_every_cluster, service_name};
use crate::model::{Delivery, Found};

/// The most bytes of an event's payload that are recorded. A larger payload is left out.
const DATA_BYTES_MAX: usize = 64 * 1024;

/// One broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BroadcastRecord {
    /// Its id.
    pub id: BroadcastId,
    /// The event. A payload of more than 64 KiB is left out.
    pub event: Event,
    /// Size of the payload if it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_left_out: Option<usize>,
    /// A digest of the whole event if its payload was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_digest: Option<String>,
    /// The cluster, as the request named it: a name, an ARN, or a pattern for every cluster.
    pub cluster: String,
    /// The other clusters that the request named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// The tags that select among every cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether this is the record of one cluster of a broadcast that has several.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub split: bool,
    /// The services of the scope; empty means all services of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Whether the scope includes standalone tasks.
    #[serde(default)]
    pub standalone: bool,
    /// How it goes through its fleet in waves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// The requester's AWS principal id, if SQS reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// Time of the request, in milliseconds since 1970.
    pub asked_at: i64,
    /// Services that have no opted-in container.
    #[serde(default, rename = "bystanders")]
    pub not_targeted: usize,
    /// Earlier events whose place this one has taken.
    #[serde(default, skip_serializing_if = "crate::report::is_zero")]
    pub folded: usize,
    /// How its tasks were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Why service discovery failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl BroadcastRecord {
    /// The record of a request, before discovery.
    pub(crate) fn new(
        scope: &ObserverMessage,
        broadcast: &Broadcast,
        asked_at: OffsetDateTime,
        asked_by: Option<String>,
    ) -> Self {
        Self {
            id: broadcast.id.clone(),
            event: broadcast.event.clone(),
            data_left_out: None,
            event_digest: None,
            cluster: scope.cluster.clone(),
            clusters: scope.clusters.clone(),
            tags: scope.tags.clone(),
            split: scope.split,
            services: scope.services.clone(),
            standalone: scope.standalone,
            pace: scope.pace.clone(),
            asked_by,
            asked_at: millis(asked_at),
            not_targeted: 0,
            folded: 0,
            found: None,
            failure: None,
        }
    }

    /// The scope of the request, without an event.
    pub fn scope(&self) -> ObserverMessage {
        let mut scope = ObserverMessage::new(&self.cluster);
        scope.clusters.clone_from(&self.clusters);
        scope.tags.clone_from(&self.tags);
        scope.split = self.split;
        scope.services.clone_from(&self.services);
        scope.standalone = self.standalone;
        scope.pace.clone_from(&self.pace);
        scope
    }

    /// Whether the scope has several clusters.
    pub fn is_several(&self) -> bool {
        !self.clusters.is_empty() || is_every_cluster(&self.cluster)
    }

    /// The record of one cluster, or of one pattern, of several.
    pub(crate) fn of_cluster(&self, cluster: &str) -> Self {
        let tags = if is_every_cluster(cluster) { self.tags.clone() } else { BTreeMap::new() };
        Self { cluster: cluster.to_owned(), clusters: Vec::new(), tags, split: true, ..self.clone() }
    }

    /// The cluster whose record this is; `None` for the record of the whole broadcast.
    pub(super) fn only_cluster(&self) -> Option<&str> {
        self.split.then_some(self.cluster.as_str())
    }

    /// Time of the request, to the second, as in RFC 3339.
    pub fn asked(&self) -> String {
        let time = OffsetDateTime::from_unix_timestamp(self.asked_at / 1000);
        time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
    }

    /// The same with the recorded part of the event.
    pub(super) fn kept(mut self) -> Self {
        let bytes = self.event.data().map(|data| data.as_json().len()).unwrap_or_default();
        if bytes > DATA_BYTES_MAX {
            let mut draft = Draft::from(self.event.clone());
            draft.data = None;
            // A complete event stays complete without its payload.
            if let Ok(event) = draft.complete(&self.id, OffsetDateTime::UNIX_EPOCH) {
                self.event_digest = digest(&self.event);
                self.event = event;
                self.data_left_out = Some(bytes);
            }
        }
        self
    }

    /// The broadcast as it was sent; `None` if the event's payload was left out.
    pub fn broadcast(&self) -> Option<Broadcast> {
        let whole = self.data_left_out.is_none();
        whole.then(|| Broadcast::new(self.event.clone()))
    }

    /// Whether the scope names this service, by its name or ARN.
    pub(super) fn names(&self, service: &str) -> bool {
        self.services.iter().any(|named| service_name(named) == service)
    }

    /// This request, merged with a repeat for some services.
    pub(super) fn widened(self, again: &Self) -> Self {
        let mut services = self.services.clone();
        // An empty list means all services.
        if !services.is_empty() {
            services.extend(again.services.iter().filter(|one| !self.names(service_name(one))).cloned());
        }
        let not_targeted = self.not_targeted.max(again.not_targeted);
        Self { services, not_targeted, failure: again.failure.clone(), ..self }
    }
}

/// A digest of an event: 96 bits, so that no other event with the same digest can be found.
pub(super) fn digest(event: &Event) -> Option<String> {
    let text = serde_json::to_string(event).ok()?;
    Some(PartId::derive([&text]).to_string())
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// One row of a broadcast's own record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BroadcastRow {
    /// A part of the scope for stage 2.
    Part {
        /// Its id.
        id: PartId,
        /// Name of its service; empty for standalone tasks.
        service: String,
    },
    /// A skip that stage 1 has found.
    Skip(Delivery),
    /// A cluster that has a record of its own, or a pattern for every cluster.
    Cluster(String),
}

impl BroadcastRow {
    /// Its service; empty for standalone tasks and clusters.
    pub(super) fn service(&self) -> &str {
        match self {
            Self::Part { service, .. } => service,
            Self::Skip(entry) => &entry.member.service,
            Self::Cluster(_) => "",
        }
    }
}

/// One part of a broadcast's scope, as found by stage 2. Its rows are the expected deliveries and the skips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Its id.
    pub id: PartId,
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// Name of its service; empty for standalone tasks.
    pub service: String,
    /// Why it could not be scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A delivery with the time of its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamped {
    /// The delivery; pending without an outcome.
    pub(super) entry: Delivery,
    /// Time of this record, in milliseconds since 1970.
    pub(super) at: i64,
}

/// The cancellation of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Time, in milliseconds since 1970.
    pub at: i64,
    /// Reason; may be empty.
    #[serde(default)]
    pub reason: String,
}
