//! A broadcast to a large fleet, as the three stages record it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use notifier::ledger::{BroadcastRecord, DAYS_DEFAULT, Ledger, PartRecord, Recorded};
use notifier::model::Delivery;
use notifier::model::Member;
use notifier::model::Outcome;
use notifier::report::Counts;
use notifier::store::Store;
use time::OffsetDateTime;
use wire::{BroadcastId, Data, Draft, PartId};

use crate::stores::{NOW, clock_at};

/// Deliveries under way at the same time: the default of `NOTIFIER_CONCURRENCY`.
const CONCURRENCY: usize = 256;
/// Tasks that a service may have at most. Source: "Amazon ECS service quotas".
const TASKS_OF_SERVICE: usize = 5_000;
/// Services that are looked at at the same time.
const PARTS_AT_ONCE: usize = 5;
/// Partitions that a broadcast's deliveries are spread over.
const PARTITIONS: usize = 16;

/// A broadcast to so many tasks, of which every hundred end alike.
pub(crate) struct Broadcast {
    pub(crate) tasks: usize,
    ledger: Ledger,
}

impl Broadcast {
    pub(crate) fn new(tasks: usize, store: Arc<dyn Store>) -> Self {
        assert!(tasks.is_multiple_of(100));
        Self { tasks, ledger: Ledger::new(store, clock_at(NOW), DAYS_DEFAULT) }
    }

    pub(crate) fn id() -> BroadcastId {
        BroadcastId::try_from("0197f0c2-5b7e-7cc1-9d2a-3f1c8a7b6e5d".to_owned()).unwrap()
    }

    fn services(&self) -> usize {
        self.tasks.div_ceil(TASKS_OF_SERVICE)
    }

    /// Records everything, stage by stage.
    pub(crate) async fn record(&self) {
        let parts: Vec<_> = (0..self.services()).map(|n| (part(n), service(n))).collect();
        self.ledger.broadcast(Self::broadcast(), &parts, &[]).await.unwrap();
        let parts = stream::iter(0..self.services()).map(|n| self.find(n));
        parts.buffer_unordered(PARTS_AT_ONCE).collect::<()>().await;
        let deliveries = stream::iter(0..self.tasks).map(|n| self.notify(n));
        deliveries.buffer_unordered(CONCURRENCY).collect::<()>().await;
    }

    fn broadcast() -> BroadcastRecord {
        let mut draft = Draft::new("com.example.cache.drop");
        draft.data = Some(Data::from_json(r#"{"keys":["catalog:price:0001"]}"#.to_owned()).unwrap());
        BroadcastRecord {
            id: Self::id(),
            event: draft.complete(&Self::id(), OffsetDateTime::UNIX_EPOCH).unwrap(),
            data_left_out: None,
            cluster: "production".to_owned(),
            clusters: Vec::new(),
            tags: BTreeMap::new(),
            split: false,
            services: Vec::new(),
            standalone: false,
            event_digest: None,
            pace: None,
            asked_by: None,
            asked_at: NOW * 1_000,
            not_targeted: 0,
            folded: 0,
            found: None,
            failure: None,
        }
    }

    /// Stage 2 for one service: the expected deliveries, and one skip.
    async fn find(&self, n: usize) {
        let tasks = n * TASKS_OF_SERVICE..self.tasks.min((n + 1) * TASKS_OF_SERVICE);
        let expected: Vec<_> = tasks.map(expected).collect();
        let wrong = Member { container: "wrong".to_owned(), ..Member::clone(&expected[0].member) };
        let reason = Some("label NOTIFY_ME_API_URI does not begin with `/`".to_owned());
        let skip = Delivery {
            member: Arc::new(wrong),
            outcome: Some(Outcome::Skipped),
            reason,
            ..Delivery::default()
        };
        let (id, service) = (part(n), service(n));
        let record = PartRecord { id, cluster: "production".to_owned(), service, failure: None };
        let due = self.ledger.part(&Self::id(), &record, &expected, &[skip]).await.unwrap();
        assert_eq!(due, expected);
    }

    /// Stage 3 for one task: a read before, a record after.
    async fn notify(&self, n: usize) {
        let entry = expected(n);
        assert_eq!(self.ledger.state(&Self::id(), &entry.member).await.unwrap(), None);
        if is_retried(n) {
            let reason = Some("answered 503 Service Unavailable".to_owned());
            let tried = Delivery { reason, attempts: Some(3), status: Some(503), ..entry.clone() };
            self.ledger.settle(&Self::id(), tried).await.unwrap();
        }
        if let Some(outcome) = outcome(n) {
            let ended = Delivery {
                outcome: Some(outcome),
                reason: (outcome != Outcome::Delivered).then(|| "answered 403 Forbidden".to_owned()),
                attempts: Some(1),
                status: Some(202),
                latency: Some(Duration::from_micros(1_000 + n as u64)),
                ..entry
            };
            self.ledger.settle(&Self::id(), ended).await.unwrap();
        }
    }

    /// Records the outcomes of this many deliveries concurrently.
    pub(crate) async fn settle_at_once(&self, deliveries: usize) {
        let ended = |n| Delivery { outcome: Some(Outcome::Delivered), ..expected(n) };
        let id = Self::id();
        let written = (0..deliveries).map(|n| self.ledger.settle(&id, ended(n)));
        join_all(written).await.into_iter().for_each(Result::unwrap);
    }

    pub(crate) async fn read(&self) -> Recorded {
        self.ledger.read(&Self::id()).await.unwrap().unwrap()
    }

    /// The expected counts of the report.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { skipped: self.services(), ..Counts::default() };
        (0..self.tasks).for_each(|n| counts.add(outcome(n)));
        assert_eq!(counts.delivered, self.tasks / 100 * 96);
        counts
    }

    /// Expects each item of a delivery at a key of its own, evenly spread; `keys` are those that stand in the store.
    pub(crate) fn check_spread(&self, keys: impl IntoIterator<Item = (String, String)>) {
        let mut told = 0;
        let mut spread = BTreeMap::<String, usize>::new();
        for (partition, sort) in keys {
            let is_told = sort.starts_with("told#");
            if is_told || sort.starts_with("state#") {
                told += usize::from(is_told);
                *spread.entry(partition).or_default() += 1;
            }
        }
        let hundreds = self.tasks / 100;
        assert_eq!(told, hundreds * 97, "delivered or gone");
        assert_eq!(spread.values().sum::<usize>() - told, hundreds * (2 + 5), "not notified, or tried twice");
        assert_eq!(spread.len(), PARTITIONS, "{spread:?}");
        let (even, within) = (hundreds * 104 / PARTITIONS, spread_within(self.tasks));
        assert!(spread.values().all(|count| count.abs_diff(even) < even * within / 100), "{spread:?}");
    }
}

/// Per cent that a partition may differ from the others: chance alone makes small numbers differ more.
fn spread_within(tasks: usize) -> usize {
    if tasks < 50_000 { 40 } else { 10 }
}

fn outcome(n: usize) -> Option<Outcome> {
    match n % 100 {
        0 => Some(Outcome::Rejected),
        1 => Some(Outcome::Failed),
        2 => Some(Outcome::Gone),
        3 => None,
        _ => Some(Outcome::Delivered),
    }
}

fn is_retried(n: usize) -> bool {
    (10..15).contains(&(n % 100))
}

fn service(n: usize) -> String {
    format!("checkout-{n:03}")
}

fn part(n: usize) -> PartId {
    PartId::derive(["production", &service(n), "load"])
}

/// A task as ECS names them.
fn expected(n: usize) -> Delivery {
    let service = service(n / TASKS_OF_SERVICE);
    let [_, a, b, c] = u32::try_from(n).unwrap().to_be_bytes();
    let task = format!("arn:aws:ecs:eu-west-1:123456789012:task/production/{n:032x}");
    let member = Arc::new(Member {
        task_definition: format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/{service}:42"),
        service,
        container: "app".to_owned(),
        ..Member::of_task("production", &task)
    });
    let address = SocketAddr::from((Ipv4Addr::new(10, a, b, c), 8080));
    Delivery { member, address: Some(address), ..Delivery::default() }
}
