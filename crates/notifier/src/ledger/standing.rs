//! Broadcasts that tasks which start later hear too: those that are open, and retained events.

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use wire::{Broadcast, ObserverMessage, PartId};

use super::record::millis;
use super::{Ledger, LedgerError, decode, key};
use crate::model::arn::service_name;
use crate::store::{BODY_BYTES_MAX, Item};

/// How long a record outlives its end, in seconds: a message about it may be late.
const EXPIRY_SLACK_S: i64 = 24 * 60 * 60;

/// A broadcast that tasks which start later hear too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Time of the request, in milliseconds since 1970, as text with leading zeros. The first field: of two records of one
    /// key, the later one stays.
    at: String,
    /// ARN of the cluster.
    pub cluster: String,
    /// The cluster as the broadcast names it: by its name or ARN.
    pub named: String,
    /// The services of the scope; empty means all services of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Whether the scope includes standalone tasks.
    #[serde(default)]
    pub standalone: bool,
    /// The key of a retained event; `None` for a broadcast that is open for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Tasks that start after this time do not hear it, in milliseconds since 1970.
    pub until: i64,
    /// The broadcast; `None` for an event that was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Broadcast>,
}

impl Standing {
    /// The broadcast of a message to one cluster of this ARN. Without a `key`, it is open until then.
    pub(crate) fn new(
        scope: &ObserverMessage,
        cluster: &str,
        key: Option<String>,
        broadcast: Broadcast,
        (at, until): (OffsetDateTime, OffsetDateTime),
    ) -> Self {
        Self {
            at: ordered(at),
            cluster: cluster.to_owned(),
            named: scope.cluster.clone(),
            services: scope.services.clone(),
            standalone: scope.standalone,
            key,
            until: millis(until),
            broadcast: Some(broadcast),
        }
    }

    /// Whether a task of this service, or of none, is in its scope.
    pub(crate) fn includes(&self, service: Option<&str>) -> bool {
        match service {
            Some(service) => {
                self.services.is_empty() || self.services.iter().any(|named| service_name(named) == service)
            }
            None => self.standalone && self.services.is_empty(),
        }
    }

    /// Time of the request; `None` if the record is damaged.
    pub fn asked_at(&self) -> Option<OffsetDateTime> {
        let millis: i128 = self.at.parse().ok()?;
        OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()
    }

    /// Whether a task that starts now hears it.
    fn stands(&self, now: i64) -> bool {
        self.broadcast.is_some() && now < self.until
    }

    fn item(&self) -> Result<Item, LedgerError> {
        let body = serde_json::to_string(self).map_err(LedgerError::Unwritable)?;
        let id = match (&self.key, &self.broadcast) {
            (Some(key), _) => retained_id(key, &self.services, self.standalone),
            (None, Some(broadcast)) => broadcast.id.to_string(),
            (None, None) => String::new(),
        };
        let key = key::standing(&self.cluster, self.key.is_some(), &id);
        Ok(Item { key, body, expires: self.until / 1_000 + EXPIRY_SLACK_S })
    }
}

/// Identifies a retained event in its cluster.
fn retained_id(key: &str, services: &[String], standalone: bool) -> String {
    let mut services: Vec<&str> = services.iter().map(|service| service_name(service)).collect();
    services.sort_unstable();
    services.dedup();
    let standalone = if standalone { "standalone" } else { "" };
    PartId::derive([key, standalone].into_iter().chain(services)).to_string()
}

/// A time as text in the order of time: milliseconds since 1970.
fn ordered(at: OffsetDateTime) -> String {
    format!("{:020}", millis(at).max(0))
}

impl Ledger {
    /// Keeps a broadcast for tasks that start later. A newer event of the same key stays; a repeat changes nothing.
    /// Returns whether it fits: an event of more than [`BODY_BYTES_MAX`] cannot be kept.
    pub(crate) async fn keep(&self, standing: &Standing) -> Result<bool, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(true) };
        let item = standing.item()?;
        if item.body.len() > BODY_BYTES_MAX {
            return Ok(false);
        }
        inner.store.put_greater(item).await?;
        Ok(true)
    }

    /// The broadcasts that a task which starts now in this cluster hears, oldest first; without a cluster, those of every
    /// cluster.
    pub async fn standing(&self, cluster: Option<&str>) -> Result<Vec<Standing>, LedgerError> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        let now = millis(inner.clock.now());
        let items: Vec<Item> = inner.items(key::standing_range(cluster)).try_collect().await?;
        let mut found = items.iter().map(decode).collect::<Result<Vec<Standing>, _>>()?;
        found.retain(|one| one.stands(now));
        found.sort_by(|one, other| (&one.cluster, &one.at).cmp(&(&other.cluster, &other.at)));
        Ok(found)
    }

    /// Clears a retained event: tasks that start from now on do not hear it. A newer event of the same key stays.
    pub async fn clear(&self, retained: &Standing) -> Result<(), LedgerError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let now = inner.clock.now();
        let cleared = Standing { at: ordered(now), broadcast: None, ..retained.clone() };
        inner.store.put_greater(cleared.item()?).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(services: &[&str], standalone: bool) -> Standing {
        let mut scope = ObserverMessage::new("prod");
        scope.services = services.iter().map(|service| (*service).to_owned()).collect();
        scope.standalone = standalone;
        let id = wire::BroadcastId::try_from("b-1".to_owned()).unwrap();
        let event = wire::Draft::default().complete(&id, OffsetDateTime::UNIX_EPOCH).unwrap();
        let times = (OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(1));
        Standing::new(&scope, "arn:c", Some("config".to_owned()), Broadcast::new(event), times)
    }

    #[test]
    fn a_task_hears_what_includes_its_service() {
        let (named, whole, every) = (standing(&["web"], false), standing(&[], false), standing(&[], true));
        let heard = |service| [&named, &whole, &every].map(|one| one.includes(service));
        assert_eq!(heard(Some("web")), [true, true, true]);
        assert_eq!(heard(Some("api")), [false, true, true]);
        assert_eq!(heard(None), [false, false, true]);
    }

    #[test]
    fn one_event_is_kept_for_each_key_and_scope() {
        let id = |services: &[&str], standalone| standing(services, standalone).item().unwrap().key;
        assert_eq!(id(&["b", "a"], false), id(&["a", "b", "a"], false));
        assert_ne!(id(&[], false), id(&[], true));
        assert_ne!(id(&["a"], false), id(&["b"], false));
    }

    #[test]
    fn it_stands_until_its_end_or_until_it_is_cleared() {
        let one = standing(&[], false);
        assert!(one.stands(59_999) && !one.stands(60_000));
        assert!(!Standing { broadcast: None, ..one }.stands(0));
    }
}
