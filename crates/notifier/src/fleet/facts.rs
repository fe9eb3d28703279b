//! Facts that AWS told any process of the installation and that stay true, in the ledger's table: what a task-definition
//! revision says, and the addresses of hosts.
//!
//! A fact that is missing, unreadable or not stored costs a call to AWS, and nothing else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::base::text::chain;
use crate::base::{Clock, fnv1a};
use crate::model::TaskDefinition;
use crate::model::arn::Arn;
use crate::store::{Item, Key, Store, StoreError};

/// Partitions of each kind of facts: one partition takes about 1,000 writes a second. Source: Amazon DynamoDB Developer
/// Guide, "Best practices for designing and using partition keys effectively".
const SHARDS: u32 = 16;
/// The most bytes of an ARN that can be a sort key. Source: "Quotas in Amazon DynamoDB".
const ARN_BYTES_MAX: usize = 1_024;
/// The most bytes of a stored fact; AWS's limit for the whole task definition. A longer one is described at each start.
const FACT_BYTES_MAX: usize = 64 * 1024;
/// Facts in one read or write of the store, which divides them into batches of its own.
const FACTS_AT_ONCE_MAX: usize = 1_000;
/// Time limit for one of them. AWS itself answers sooner than a store that retries for longer.
const STORE_TIME_MAX: Duration = Duration::from_secs(5);
/// Time without the store after it failed.
const STORE_PAUSE: Duration = Duration::from_secs(30);
/// Lifetime of the address of an EC2 instance. It never changes, but the instance may be gone.
const HOST_LIFE: Duration = Duration::from_hours(24);

/// The installation's facts. Without a store, nothing is known and nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Facts(Option<Kept>);

#[derive(Debug)]
struct Kept {
    store: Arc<dyn Store>,
    clock: Clock,
    /// Lifetime of a revision: that of the ledger's records.
    revision_life: Duration,
    /// The end of the pause after a failure of the store.
    paused_until: Mutex<Option<Instant>>,
}

/// The address of a host. If it is outside AWS, its own agent or an attribute reports the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostIp {
    pub(super) ip: IpAddr,
    pub(super) is_outside: bool,
}

/// A fact with the rest of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known<T> {
    pub(super) fact: T,
    pub(super) life: Duration,
}

/// Kinds of facts. The names are in stored keys.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Revision,
    Host,
}

impl Facts {
    /// Facts in this store, if there is one; revisions are kept for `days` after they were last used.
    pub(super) fn new(store: Option<Arc<dyn Store>>, clock: Clock, days: u32) -> Self {
        let revision_life = Duration::from_hours(24 * u64::from(days));
        Self(store.map(|store| Kept { store, clock, revision_life, paused_until: Mutex::default() }))
    }

    /// What is known of these revisions, by ARN.
    pub(super) async fn revisions(&self, arns: &[String]) -> HashMap<String, TaskDefinition> {
        let Some(kept) = &self.0 else { return HashMap::new() };
        let known: HashMap<String, Known<TaskDefinition>> = kept.read(Kind::Revision, arns).await;
        // One that is in use outlives its record, with at most two writes in a lifetime.
        let old = known.iter().filter(|(_, known)| known.life < kept.revision_life / 2);
        let old = kept.items(Kind::Revision, kept.revision_life, old.map(|(arn, known)| (arn, &known.fact)));
        kept.write(old).await;
        known.into_iter().map(|(arn, known)| (arn, known.fact)).collect()
    }

    /// Keeps what ECS said of these revisions.
    pub(super) async fn keep_revisions(&self, facts: &[(String, TaskDefinition)]) {
        let Some(kept) = &self.0 else { return };
        let facts = facts.iter().map(|(arn, definition)| (arn, definition));
        kept.write(kept.items(Kind::Revision, kept.revision_life, facts)).await;
    }

    /// The known addresses of the hosts of these container instances, by ARN.
    pub(super) async fn hosts(&self, arns: &[String]) -> HashMap<String, Known<HostIp>> {
        match &self.0 {
            Some(kept) => kept.read(Kind::Host, arns).await,
            None => HashMap::new(),
        }
    }

    /// Keeps the addresses of hosts: of EC2 instances for a day, of those outside AWS for `outside_life`.
    pub(super) async fn keep_hosts(&self, facts: &[(String, HostIp)], outside_life: Duration) {
        let Some(kept) = &self.0 else { return };
        let items = [(false, HOST_LIFE), (true, outside_life)].map(|(is_outside, life)| {
            let facts = facts.iter().filter(|(_, host)| host.is_outside == is_outside);
            kept.items(Kind::Host, life, facts.map(|(arn, host)| (arn, host)))
        });
        kept.write(items.concat()).await;
    }
}

impl Kept {
    async fn read<T: DeserializeOwned>(&self, kind: Kind, arns: &[String]) -> HashMap<String, Known<T>> {
        let mut known = HashMap::new();
        let arns: Vec<&String> = arns.iter().filter(|arn| is_unambiguous(arn)).collect();
        for arns in arns.chunks(FACTS_AT_ONCE_MAX) {
            let keys = arns.iter().map(|arn| kind.key(arn)).collect();
            let Some(items) = self.answer("read", self.store.get(keys)).await else { break };
            let now = self.clock.unix_seconds();
            // A store may keep an expired item for days, and return anything that stands at the key.
            let items = arns.iter().zip(items).filter_map(|(arn, item)| Some((*arn, item?)));
            known.extend(items.filter_map(|(arn, item)| {
                let life = u64::try_from(item.expires.checked_sub(now)?).ok().filter(|life| *life > 0)?;
                let fact = serde_json::from_str(&item.body).ok()?;
                Some((arn.clone(), Known { fact, life: Duration::from_secs(life) }))
            }));
        }
        known
    }

    fn items<'a, T: Serialize + 'a>(
        &self,
        kind: Kind,
        life: Duration,
        facts: impl Iterator<Item = (&'a String, &'a T)>,
    ) -> Vec<Item> {
        let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        let expires = self.clock.unix_seconds().saturating_add(life);
        let facts = facts.filter(|(arn, _)| is_unambiguous(arn));
        let item = |(arn, fact): (&String, &T)| {
            let body = serde_json::to_string(fact).ok().filter(|body| body.len() <= FACT_BYTES_MAX)?;
            Some(Item { key: kind.key(arn), body, expires })
        };
        facts.filter_map(item).collect()
    }

    async fn write(&self, items: Vec<Item>) {
        for items in items.chunks(FACTS_AT_ONCE_MAX) {
            if self.answer("write", self.store.put(items.to_vec())).await.is_none() {
                break;
            }
        }
    }

    /// The answer of the store; `None` if there is none, or if the store failed a short time ago.
    async fn answer<T>(&self, what: &str, asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        if self.paused_until().is_some_and(|end| Instant::now() < end) {
            return None;
        }
        let problem = match timeout(STORE_TIME_MAX, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("the ledger did not answer within {STORE_TIME_MAX:?}"),
        };
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + STORE_PAUSE);
        tracing::warn!(
            error = problem,
            "Cannot {what} what is known of task definitions and hosts: AWS is asked instead for {STORE_PAUSE:?}"
        );
        None
    }

    fn paused_until(&self) -> Option<Instant> {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    fn key(self, arn: &str) -> Key {
        let kind = match self {
            Self::Revision => "revision",
            Self::Host => "host",
        };
        let shard = (fnv1a(arn) >> 16) % SHARDS;
        Key { partition: format!("fact#{kind}#{shard:02}"), sort: arn.to_owned() }
    }
}

/// Whether a name means the same in every account and region, so that no process can mistake it: a whole ARN.
fn is_unambiguous(arn: &str) -> bool {
    arn.len() <= ARN_BYTES_MAX
        && Arn::parse(arn).is_some_and(|arn| arn.region().is_some() && !arn.account.is_empty())
}

#[cfg(test)]
mod tests;
