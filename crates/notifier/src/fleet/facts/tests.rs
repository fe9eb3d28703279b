//! What is kept, and that nothing else is believed.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::model::{ContainerDefinition, NetworkMode};
use crate::store::{Page, Range, StoreProblem};

const ARN: &str = "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1";
const OTHER: &str = "arn:aws:ecs:eu-west-1:444455556666:task-definition/web:1";
const DAYS: u32 = 30;
const DAY_S: i64 = 24 * 60 * 60;

/// A store in memory that counts requests, and fails on command.
#[derive(Debug, Default)]
struct Memory {
    items: Mutex<HashMap<Key, Item>>,
    gets: AtomicU64,
    puts: AtomicU64,
    failing: std::sync::atomic::AtomicBool,
}

impl Memory {
    fn check(&self) -> Result<(), StoreError> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(StoreError::new("memory", "a request", StoreProblem::Other, "on command"));
        }
        Ok(())
    }

    fn requests(&self) -> (u64, u64) {
        (self.gets.load(Ordering::Relaxed), self.puts.load(Ordering::Relaxed))
    }
}

impl Store for Memory {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.puts.fetch_add(items.len() as u64, Ordering::Relaxed);
            self.check()?;
            self.items.lock().unwrap().extend(items.into_iter().map(|item| (item.key.clone(), item)));
            Ok(())
        }
        .boxed()
    }

    fn put_new(&self, _: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        unreachable!("facts are not conditional")
    }

    fn put_greater(&self, _: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        unreachable!("facts are not conditional")
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        async move {
            self.gets.fetch_add(keys.len() as u64, Ordering::Relaxed);
            self.check()?;
            let items = self.items.lock().unwrap();
            Ok(keys.iter().map(|key| items.get(key).cloned()).collect())
        }
        .boxed()
    }

    fn list(&self, _: Range, _: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        unreachable!("facts are read by key")
    }

    fn put_items_max(&self) -> usize {
        25
    }
}

struct Setup {
    store: Arc<Memory>,
    now: Arc<AtomicI64>,
}

fn setup() -> Setup {
    Setup { store: Arc::default(), now: Arc::new(AtomicI64::new(1_800_000_000)) }
}

impl Setup {
    /// The facts as a new process has them.
    fn process(&self) -> Facts {
        let now = Arc::clone(&self.now);
        let clock = Clock::from_fn(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed).try_into().unwrap())
        });
        let store: Arc<dyn Store> = Arc::<Memory>::clone(&self.store);
        Facts::new(Some(store), clock, DAYS)
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn web() -> TaskDefinition {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let app = ContainerDefinition {
        name: "app".to_owned(),
        labels: std::collections::BTreeMap::from([
            label("NOTIFY_ME_CONTAINER_PORT", "8080"),
            label("NOTIFY_ME_API_URI", "/n"),
            label("NOTIFY_ME_SCHEMA", "misspelt"),
        ]),
        has_health_check: true,
    };
    let sidecar = ContainerDefinition { name: "log".to_owned(), ..ContainerDefinition::default() };
    TaskDefinition { network: NetworkMode::Awsvpc, containers: vec![app, sidecar] }
}

async fn revision(facts: &Facts, arn: &str) -> Option<TaskDefinition> {
    facts.revisions(&[arn.to_owned()]).await.remove(arn)
}

async fn host(facts: &Facts, arn: &str) -> Option<Known<HostIp>> {
    facts.hosts(&[arn.to_owned()]).await.remove(arn)
}

#[tokio::test]
async fn another_process_knows_a_revision_with_its_wrong_labels_and_nobody_elses() {
    let setup = setup();
    setup.process().keep_revisions(&[(ARN.to_owned(), web())]).await;
    let process = setup.process();
    let known = revision(&process, ARN).await.unwrap();
    assert_eq!(known, web());
    assert_eq!(known.revision(), web().revision());
    assert_eq!(revision(&process, OTHER).await, None);
}

#[tokio::test]
async fn only_whole_arns_are_stored_because_a_short_name_means_another_thing_elsewhere() {
    let setup = setup();
    let long = format!("{ARN}{}", "x".repeat(ARN_BYTES_MAX));
    for name in ["web:1", "", "arn:aws:ecs:::task-definition/web:1", &long] {
        setup.process().keep_revisions(&[(name.to_owned(), web())]).await;
        assert_eq!(revision(&setup.process(), name).await, None, "{name}");
    }
    assert_eq!(setup.store.requests(), (0, 0));
}

#[tokio::test]
async fn a_revision_in_use_outlives_its_record_and_one_out_of_use_does_not() {
    let setup = setup();
    setup.process().keep_revisions(&[(ARN.to_owned(), web())]).await;
    for _ in 0..5 {
        setup.pass(i64::from(DAYS) * DAY_S / 2 + 1);
        assert_eq!(revision(&setup.process(), ARN).await, Some(web()));
    }
    let (_, puts) = setup.store.requests();
    assert_eq!(puts, 1 + 5);
    // A new record is not written again.
    assert_eq!(revision(&setup.process(), ARN).await, Some(web()));
    assert_eq!(setup.store.requests().1, puts);
    setup.pass(i64::from(DAYS) * DAY_S);
    assert_eq!(revision(&setup.process(), ARN).await, None, "the store has not deleted it yet");
}

#[tokio::test]
async fn the_address_of_a_host_is_kept_for_its_lifetime() {
    let setup = setup();
    let fact = |is_outside| HostIp { ip: "10.0.0.7".parse().unwrap(), is_outside };
    let outside_life = Duration::from_mins(5);
    let hosts = [(ARN.to_owned(), fact(false)), (OTHER.to_owned(), fact(true))];
    setup.process().keep_hosts(&hosts, outside_life).await;
    setup.pass(60);
    let process = setup.process();
    let left = |life: Duration| life.saturating_sub(Duration::from_mins(1));
    assert_eq!(host(&process, ARN).await, Some(Known { fact: fact(false), life: left(HOST_LIFE) }));
    assert_eq!(host(&process, OTHER).await, Some(Known { fact: fact(true), life: left(outside_life) }));
    setup.pass(4 * 60);
    assert_eq!(host(&process, OTHER).await, None);
    setup.pass(DAY_S);
    assert_eq!(host(&process, ARN).await, None);
}

#[tokio::test]
async fn what_is_not_a_fact_is_not_known() {
    let setup = setup();
    let expires = i64::MAX;
    for body in [
        "",
        "{}",
        "null",
        "{\"network\":\"awsvpc\"}",
        "{\"network\":\"moon\",\"containers\":[]}",
        "{\"network\":\"host\",\"containers\":[{\"name\":\"app\"}]}",
        "{\"network\":\"host\",\"containers\":[{\"name\":7,\"has_health_check\":false}]}",
        "{\"ip\":\"10.0.0.256\",\"is_outside\":false}",
        "{\"ip\":\"evil.example\",\"is_outside\":false}",
        "{\"ip\":\"10.0.0.1\"}",
    ] {
        for kind in [Kind::Revision, Kind::Host] {
            setup.store.put(vec![Item { key: kind.key(ARN), body: body.to_owned(), expires }]).await.unwrap();
        }
        assert_eq!(revision(&setup.process(), ARN).await, None, "{body}");
        assert_eq!(host(&setup.process(), ARN).await, None, "{body}");
    }
    // What a newer version adds is ignored.
    let body = "{\"network\":\"host\",\"containers\":[],\"more\":1}".to_owned();
    setup.store.put(vec![Item { key: Kind::Revision.key(ARN), body, expires }]).await.unwrap();
    assert_eq!(revision(&setup.process(), ARN).await.unwrap().network, NetworkMode::Host);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_left_alone_for_a_while() {
    let setup = setup();
    let process = setup.process();
    process.keep_revisions(&[(ARN.to_owned(), web())]).await;
    setup.store.failing.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(revision(&process, ARN).await, None);
    }
    assert_eq!(setup.store.requests(), (1, 1));
    setup.store.failing.store(false, Ordering::Relaxed);
    assert_eq!(revision(&process, ARN).await, None);
    tokio::time::advance(STORE_PAUSE).await;
    assert_eq!(revision(&process, ARN).await, Some(web()));
}

#[tokio::test]
async fn a_definition_that_is_too_large_is_described_again() {
    let setup = setup();
    let mut large = web();
    large.containers[1].name = "x".repeat(FACT_BYTES_MAX);
    setup.process().keep_revisions(&[(ARN.to_owned(), large)]).await;
    assert_eq!(setup.store.requests(), (0, 0));
}
