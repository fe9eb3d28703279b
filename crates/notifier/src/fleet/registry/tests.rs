//! Rows in any order of statements, and the registry on a table in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::ready;
use proptest::prelude::*;

use super::*;
use crate::aws::ecs::{Described, EcsError};
use crate::model::{ContainerState, NetworkInterface, RUNNING, STOPPED, TaskState, Zone};
use crate::store::Page;

pub(super) const CLUSTER: &str = "arn:aws:ecs:eu-west-1:111122223333:cluster/prod";

/// A table in memory, with small pages.
#[derive(Debug, Default)]
pub(super) struct Table(pub(super) Mutex<BTreeMap<Key, Item>>);

const PAGE_ITEMS: usize = 3;

impl Table {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Key, Item>) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn put_if(&self, item: Item, is_wanted: impl FnOnce(&Item) -> bool) -> bool {
        self.with(|items| {
            let is_wanted = items.get(&item.key).is_none_or(is_wanted);
            if is_wanted {
                items.insert(item.key.clone(), item);
            }
            is_wanted
        })
    }
}

impl Store for Table {
    fn put(&self, all: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(|items| items.extend(all.into_iter().map(|item| (item.key.clone(), item))));
        ready(Ok(())).boxed()
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(Ok(self.put_if(item, |_| false))).boxed()
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        let body = item.body.clone();
        ready(Ok(self.put_if(item, |old| old.body < body))).boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        ready(Ok(self.with(|items| keys.iter().map(|key| items.get(key).cloned()).collect()))).boxed()
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        let key = |sort: String| Key { partition: range.partition.clone(), sort };
        let from = after
            .map_or_else(|| Bound::Included(key(range.prefix.clone())), |after| Bound::Excluded(key(after)));
        let is_in =
            |item: &Item| item.key.partition == range.partition && item.key.sort.starts_with(&range.prefix);
        let items = self.with(|items| {
            let found = items.range((from, Bound::Unbounded)).map(|(_, item)| item.clone());
            found.take_while(is_in).take(PAGE_ITEMS).collect::<Vec<_>>()
        });
        let next = items.last().filter(|_| items.len() == PAGE_ITEMS).map(|item| item.key.sort.clone());
        ready(Ok(Page { items, next })).boxed()
    }

    fn put_items_max(&self) -> usize {
        25
    }
}

/// A clock that the test moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Now(pub(super) Arc<AtomicU64>);

impl Now {
    pub(super) fn at(milliseconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(milliseconds)))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Clock::from_fn(move || SystemTime::UNIX_EPOCH + Duration::from_millis(now.load(Ordering::Relaxed)))
    }
}

pub(super) fn arn(task: usize) -> String {
    format!("arn:aws:ecs:eu-west-1:111122223333:task/prod/{task:032x}")
}

/// A task in a state, whose address is derived from `address`.
pub(super) fn task(number: usize, version: u64, status: &str, address: u8) -> TaskState {
    TaskState {
        arn: arn(number),
        cluster: Some(CLUSTER.to_owned()),
        group: Some("service:web".to_owned()),
        last_status: Some(status.to_owned()),
        desired_status: Some(if status == STOPPED { STOPPED } else { RUNNING }.to_owned()),
        revision: Some("arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1".to_owned()),
        version,
        zone: Zone::new("eu-west-1b"),
        containers: vec![ContainerState {
            name: "app".to_owned(),
            last_status: Some(status.to_owned()),
            interfaces: vec![NetworkInterface {
                v4: Some([10, 0, 0, address].into()),
                ..NetworkInterface::default()
            }],
            ..ContainerState::default()
        }],
        ..TaskState::default()
    }
}

pub(super) fn seen(number: usize, version: u64, status: &str, at: u64) -> Seen {
    Seen { task: task(number, version, status, 1), at }
}

pub(super) fn registry(table: &Arc<Table>, now: &Now) -> Registry {
    let options = RegistryOptions { clusters: "prod".parse().unwrap(), ..RegistryOptions::default() };
    Registry::new(Arc::clone(table) as _, now.clock(), options)
}

/// A history of one task: its states by version, each stated at least once, as events and by later answers. Some
/// statements of versions other than the last are lost, some arrive twice, and all in any order.
fn history() -> impl Strategy<Value = (Vec<Seen>, Seen)> {
    let life = [("PROVISIONING", 1), ("PENDING", 1), (RUNNING, 2), ("DEPROVISIONING", 2), (STOPPED, 3)];
    let statement = (0_u64..1_000, 1_usize..3, any::<bool>());
    let statements = prop::collection::vec(prop::collection::vec(statement, 1..4), 1..=life.len());
    let seen = move |(index, of_version): (usize, Vec<(u64, usize, bool)>)| {
        let (status, address) = life[index];
        let version = index as u64 + 1;
        let of = move |(after, times, is_lost)| {
            let at = 1_795_600_000_000 + version * 10_000 + after;
            (Seen { task: task(1, version, status, address), at }, times, is_lost)
        };
        of_version.into_iter().map(of).collect::<Vec<_>>()
    };
    let delivered = move |versions: Vec<Vec<(u64, usize, bool)>>| {
        let all: Vec<Vec<_>> = versions.into_iter().enumerate().map(seen).collect();
        let last = all.last().unwrap().iter().max_by_key(|(seen, ..)| seen.at).unwrap().0.clone();
        let older = all.iter().flatten().filter(|(one, _, is_lost)| !is_lost || *one == last);
        let delivered = older.flat_map(|(seen, times, _)| vec![seen.clone(); *times]).collect::<Vec<_>>();
        (delivered, last)
    };
    statements
        .prop_map(delivered)
        .prop_flat_map(|(delivered, last)| (Just(delivered).prop_shuffle(), Just(last)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_last_row_is_the_same_in_any_order_with_repeats_and_losses_of_older_statements((all, last) in history()) {
        let mut row = None;
        for seen in &all {
            if let Applied::Write(new) = apply(row.as_ref(), seen) {
                prop_assert!(row.as_ref().is_none_or(|old: &Row| old.state().version <= new.state().version));
                row = Some(new);
            }
        }
        let row = row.unwrap();
        prop_assert_eq!(&row, &Row::of(&last));
        prop_assert!(all.iter().all(|seen| !matches!(apply(Some(&row), seen), Applied::Write(_))));
    }

    #[test]
    fn writers_that_have_read_old_rows_leave_the_same_row((all, last) in history(), read in 0_usize..3) {
        let (table, now) = (Arc::new(Table::default()), Now::at(1_795_600_100_000));
        let registry = registry(&table, &now);
        let mut rows = vec![None];
        for seen in &all {
            // The row that this writer has read may be some writes old.
            let old: &Option<Row> = &rows[rows.len().saturating_sub(1 + read)];
            if let Applied::Write(row) = apply(old.as_ref(), seen) {
                registry.write(vec![row]).now_or_never().unwrap().unwrap();
            }
            let found = registry.rows_of(CLUSTER, &[arn(1)]).now_or_never().unwrap().unwrap();
            rows.push(found[0].clone());
        }
        prop_assert_eq!(rows.pop().unwrap().unwrap(), Row::of(&last));
    }

    #[test]
    fn rows_are_read_as_they_were_written_and_bodies_are_ordered_as_rows((all, _) in history()) {
        for seen in &all {
            let row = Row::of(seen);
            let read = Row::read(CLUSTER, &seen.task.arn, &row.body()).unwrap();
            prop_assert_eq!(&read, &row);
            for other in &all {
                let is_greater = matches!(apply(Some(&row), other), Applied::Write(_));
                prop_assert_eq!(is_greater, Row::of(other).body() > row.body());
            }
        }
    }
}

#[test]
fn a_statement_about_a_known_version_is_no_news_and_one_about_an_older_version_is_old() {
    let row = Row::of(&seen(1, 4, RUNNING, 5_000));
    assert_eq!(apply(Some(&row), &seen(1, 4, RUNNING, 5_000)), Applied::Same);
    assert_eq!(apply(Some(&row), &seen(1, 4, RUNNING, 4_000)), Applied::Same, "a sweep was later");
    assert_eq!(apply(Some(&row), &seen(1, 3, RUNNING, 9_000)), Applied::Older);
    assert!(matches!(apply(Some(&row), &seen(1, 4, RUNNING, 6_000)), Applied::Write(_)));
    let stopped = Row::of(&seen(1, 9, STOPPED, 7_000));
    assert_eq!(apply(Some(&stopped), &seen(1, 4, RUNNING, 8_000)), Applied::Older, "it never runs again");
}

#[tokio::test(start_paused = true)]
async fn rows_of_running_tasks_are_found_and_others_are_not() {
    let (table, now) = (Arc::new(Table::default()), Now::at(1_795_600_000_000));
    let registry = registry(&table, &now);
    for number in 0..100 {
        let status = match number % 4 {
            0 => STOPPED,
            1 => "PENDING",
            _ => RUNNING,
        };
        let applied = registry.note(&seen(number, 3, status, now.get())).await.unwrap();
        assert!(matches!(applied, Applied::Write(_)));
        assert_eq!(registry.note(&seen(number, 3, status, now.get())).await.unwrap(), Applied::Same);
    }
    let found: Vec<Vec<Row>> = registry.rows(CLUSTER).try_collect().await.unwrap();
    let mut found: Vec<String> = found.into_iter().flatten().map(|row| row.task().arn).collect();
    found.sort_unstable();
    let expected: Vec<String> = (0..100).filter(|number| number % 4 > 1).map(arn).collect();
    assert_eq!(found, expected);
    assert!(
        registry
            .rows("arn:aws:ecs:eu-west-1:111122223333:cluster/pro")
            .try_concat()
            .await
            .unwrap()
            .is_empty()
    );
    let rows = registry.rows_of(CLUSTER, &[arn(4), arn(200), arn(2)]).await.unwrap();
    let states: Vec<_> = rows.iter().map(|row| row.as_ref().map(Row::is_running)).collect();
    assert_eq!(states, [Some(false), None, Some(true)]);
    // A day after the oldest accepted event, its stopped task is still known.
    let stopped = table.with(|items| items[&key::row(CLUSTER, &arn(4))].expires);
    let kept = u64::try_from(stopped).unwrap() - now.get() / 1_000;
    assert!(kept > EVENT_AGE_MAX.as_secs());
}

#[tokio::test(start_paused = true)]
async fn freshness_follows_the_sweeps_the_queue_and_the_processed_events() {
    const SECOND: u64 = 1_000;
    let (table, now) = (Arc::new(Table::default()), Now::at(1_795_600_000_000));
    let depth = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&depth);
    let waiting = move || ready(Some(asked.load(Ordering::Relaxed))).boxed();
    let registry = registry(&table, &now).with_waiting(Arc::new(waiting));
    let step = async |seconds: u64| {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        now.0.fetch_add(seconds * SECOND, Ordering::Relaxed);
    };
    let live = |seconds| Freshness::Live { age: Duration::from_secs(seconds) };
    assert_eq!(registry.freshness(CLUSTER).await, Freshness::NotLive { reason: NotLive::NeverSwept });
    let sweep = ClusterSweep { began: now.get(), took: 1, tasks: 2, name: Some("prod".to_owned()) };
    let item = registry.state_item(key::cluster(CLUSTER), &sweep).unwrap();
    table.put(vec![item]).await.unwrap();
    assert_eq!(registry.freshness(CLUSTER).await, live(0));
    assert_eq!(registry.cluster_arn("prod").await.unwrap().as_deref(), Some(CLUSTER));
    assert_eq!(registry.cluster_arn(CLUSTER).await.unwrap().as_deref(), Some(CLUSTER));
    assert_eq!(registry.cluster_arn("pro").await.unwrap(), None);
    // The empty queue was a proof, also for other processes; then a message waits.
    depth.store(1, Ordering::Relaxed);
    step(30).await;
    assert_eq!(registry.freshness(CLUSTER).await, live(30));
    let other = self::registry(&table, &now);
    assert_eq!(other.freshness(CLUSTER).await, live(30));
    step(30).await;
    let behind = NotLive::Behind { lag: Duration::from_secs(60) };
    assert_eq!(registry.freshness(CLUSTER).await, Freshness::NotLive { reason: behind });
    // An event that was sent 7 s ago is processed.
    registry.note_progress(now.get() - 7 * SECOND).await.unwrap();
    assert_eq!(registry.freshness(CLUSTER).await, live(7));
    // Another one at once is not worth a write, and an older one changes nothing.
    registry.note_progress(now.get()).await.unwrap();
    assert_eq!(registry.freshness(CLUSTER).await, live(7));
    step(6).await;
    registry.note_progress(now.get() - 30 * SECOND).await.unwrap();
    assert_eq!(registry.freshness(CLUSTER).await, live(13));
    depth.store(0, Ordering::Relaxed);
    step(1_140).await;
    let long_ago = NotLive::SweptLongAgo { ago: Duration::from_secs(1_206) };
    assert_eq!(registry.freshness(CLUSTER).await, Freshness::NotLive { reason: long_ago });
}

/// A sweep whose answers take minutes.
struct Slow;

impl super::sweep::Source for Slow {
    async fn list(&self, _: &str) -> Result<Vec<String>, EcsError> {
        Ok((0..2_500).map(arn).collect())
    }

    async fn describe(&self, _: &str, tasks: &[String]) -> Result<Described<TaskState>, EcsError> {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let found = tasks.iter().map(|arn| TaskState { arn: arn.clone(), ..task(0, 4, RUNNING, 1) });
        Ok(Described { found: found.collect(), failed: std::collections::HashMap::new() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_sweep_whose_own_message_is_on_the_queue_does_not_make_the_registry_look_behind() {
    let (table, now, start) = (Arc::new(Table::default()), Now::at(1_795_600_000_000), Instant::now());
    let of = || {
        let clock = Clock::from_fn(move || {
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_600_000_000) + start.elapsed()
        });
        let options = registry(&table, &now).options().clone();
        // The message of the sweep is in flight.
        let waiting = || ready(Some(1)).boxed();
        Registry::new(Arc::clone(&table) as _, clock, options).with_waiting(Arc::new(waiting))
    };
    let (sweeping, other) = (of(), of());
    let before = ClusterSweep { began: now.get(), ..ClusterSweep::default() };
    table.put(vec![other.state_item(key::cluster(CLUSTER), &before).unwrap()]).await.unwrap();
    other.note_progress(other.now()).await.unwrap();
    let target = super::sweep::Target { arn: CLUSTER.to_owned(), name: None };
    let sweep = sweeping.sweep(&Slow, &target);
    let watch = async {
        while start.elapsed() < Duration::from_secs(149) {
            let freshness = other.freshness(CLUSTER).await;
            assert!(matches!(freshness, Freshness::Live { .. }), "{freshness:?} after {:?}", start.elapsed());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (swept, ()) = tokio::join!(sweep, watch);
    assert_eq!(swept.unwrap().tasks, 2_500);
    // The sweep is over, so a message that is on the queue now is an event.
    tokio::time::advance(LAG_MAX).await;
    assert!(matches!(
        sweeping.freshness(CLUSTER).await,
        Freshness::NotLive { reason: NotLive::Behind { .. } }
    ));
}

#[tokio::test(start_paused = true)]
async fn an_item_of_another_program_is_an_error_and_no_missing_task() {
    let (table, now) = (Arc::new(Table::default()), Now::at(1_795_600_000_000));
    let registry = registry(&table, &now);
    for body in ["", "{}", "{\"v\":\"x\",\"at\":\"1\",\"s\":null}", "[]"] {
        let item = Item { key: key::row(CLUSTER, &arn(1)), body: body.to_owned(), expires: 0 };
        table.put(vec![item]).await.unwrap();
        let error = registry.rows(CLUSTER).try_concat().await.unwrap_err();
        assert!(matches!(error, RegistryError::Unreadable { .. }), "{body}");
        assert!(registry.rows_of(CLUSTER, &[arn(1)]).await.is_err());
    }
    let item = Item { key: key::cluster(CLUSTER), body: "{}".to_owned(), expires: 0 };
    table.put(vec![item]).await.unwrap();
    assert!(matches!(registry.freshness(CLUSTER).await, Freshness::NotLive { reason: NotLive::Store(_) }));
}
