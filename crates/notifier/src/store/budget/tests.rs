//! Processes over one table in memory, in virtual time: throttles, a table that does not answer, and accounts.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::*;
use crate::aws::budget::{Budget, PERCENT_DEFAULT};
use crate::store::{Page, StoreProblem};

/// Where the virtual time begins, in seconds since 1970.
const START: u64 = 1_800_000_000;
const ACCOUNT: &str = "111122223333";

/// What the table does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    Failing,
    Silent,
    /// It writes, and does not answer.
    Forgetful,
}

#[derive(Debug, Default)]
struct Table {
    items: Lock<BTreeMap<Key, Item>>,
    mood: Lock<Mood>,
}

impl Table {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn items(&self) -> Vec<Item> {
        self.items.lock().unwrap().values().cloned().collect()
    }

    fn throttles(&self) -> Vec<Item> {
        self.items().into_iter().filter(|item| item.key.sort == THROTTLED).collect()
    }

    /// Runs a request as the mood is.
    async fn run<T>(&self, request: impl FnOnce(&mut BTreeMap<Key, Item>) -> T) -> Result<T, StoreError> {
        sleep(Duration::from_millis(5)).await;
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => Ok(request(&mut self.items.lock().unwrap())),
            Mood::Failing => Err(StoreError::new("memory", "a request", StoreProblem::Other, "on command")),
            Mood::Silent => std::future::pending().await,
            Mood::Forgetful => {
                request(&mut self.items.lock().unwrap());
                std::future::pending().await
            }
        }
    }
}

impl Store for Table {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run(|table| table.extend(items.into_iter().map(|item| (item.key.clone(), item)))).boxed()
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.run(|table| match table.entry(item.key.clone()) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(item);
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        })
        .boxed()
    }

    fn put_greater(&self, _: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        unreachable!("a budget has no versions")
    }

    fn get(&self, _: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        unreachable!("a budget is listed")
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.run(move |table| {
            let is_listed = |item: &&Item| {
                item.key.partition == range.partition
                    && after.as_ref().is_none_or(|after| item.key.sort > *after)
            };
            Page { items: table.values().filter(is_listed).cloned().collect(), next: None }
        })
        .boxed()
    }

    fn put_items_max(&self) -> usize {
        25
    }
}

/// The clock of a process: tokio's, and so much ahead.
fn clock(ahead: Duration) -> Clock {
    let begin = Instant::now();
    Clock::from_fn(move || SystemTime::UNIX_EPOCH + Duration::from_secs(START) + begin.elapsed() + ahead)
}

/// The budget of a new process.
fn process(table: &Arc<Table>, percent: f64, seed: u64) -> Budget {
    let store: Arc<dyn Store> = Arc::<Table>::clone(table);
    let aws = Aws::at("http://127.0.0.1:1", "eu-west-1");
    let installation = Installation {
        store,
        clock: clock(Duration::from_millis(37 * seed)),
        rng: Rng::seeded(seed),
        sts: aws.sts,
        region: "eu-west-1".to_owned(),
        account: Mutex::new(HomeAccount { id: Some(ACCOUNT.to_owned()), asked: None }),
        warned: Lock::default(),
    };
    let budget = Budget::percent(percent);
    budget.share(Arc::new(InstallationBudget(Arc::new(installation))));
    budget
}

/// How many calls these processes make within this time, each as many as it can.
async fn calls(processes: &[Budget], time: Duration) -> usize {
    let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for budget in processes {
        let (budget, made) = (budget.clone(), Arc::clone(&made));
        callers.spawn(async move {
            loop {
                budget.wait(Group::ClusterRead).await;
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    sleep(time).await;
    callers.shutdown().await;
    made.load(Ordering::Relaxed)
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn ten_processes_have_the_share_of_one() {
    let table = Arc::default();
    let processes: Vec<_> = (0..10).map(|seed| process(&table, PERCENT_DEFAULT, seed)).collect();
    let made = calls(&processes, MINUTE).await;
    // 50 at once, and 10 a second.
    assert!((590..=655).contains(&made), "{made}");
    // Nobody had to wait, and nothing was claimed, where nobody called.
    assert!(
        table.items().iter().all(|item| {
            item.key.partition == "budget#111122223333#eu-west-1#ecs-cluster-resource-read#50"
        })
    );
}

#[tokio::test(start_paused = true)]
async fn accounts_regions_and_percentages_have_budgets_of_their_own() {
    let table: Arc<Table> = Arc::default();
    let home = process(&table, 50.0, 1);
    let of = |account: Option<&str>, region: &str| AccountRegion {
        account: account.map(str::to_owned),
        region: Some(region.to_owned()),
    };
    let all = [
        home.clone(),
        home.separate(of(None, "us-east-1")),
        home.separate(of(Some("444455556666"), "eu-west-1")),
        process(&table, 12.5, 2),
    ];
    for budget in &all {
        budget.wait(Group::Ec2Read).await;
    }
    let partitions: BTreeSet<_> = table.items().into_iter().map(|item| item.key.partition).collect();
    let expected = [
        "budget#111122223333#eu-west-1#ec2-read#12.5",
        "budget#111122223333#eu-west-1#ec2-read#50",
        "budget#111122223333#us-east-1#ec2-read#50",
        "budget#444455556666#eu-west-1#ec2-read#50",
    ];
    assert_eq!(partitions.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn while_the_table_does_not_answer_no_call_is_made_and_then_they_go_on() {
    for mood in [Mood::Failing, Mood::Silent, Mood::Forgetful] {
        let table: Arc<Table> = Arc::default();
        table.set(mood);
        let processes = [process(&table, 50.0, 1), process(&table, 50.0, 2)];
        assert_eq!(calls(&processes, MINUTE).await, 0, "{mood:?}");
        table.set(Mood::Well);
        let made = calls(&processes, MINUTE).await;
        assert!((550..=655).contains(&made), "{made} after {mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_turn_to_the_next() {
    let table: Arc<Table> = Arc::default();
    table.set(Mood::Silent);
    let budget = process(&table, 50.0, 1);
    assert!(timeout(Duration::from_secs(3), budget.wait(Group::ClusterRead)).await.is_err());
    table.set(Mood::Well);
    assert!(timeout(Duration::from_secs(3), budget.wait(Group::ClusterRead)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_throttle_of_one_process_slows_all_down_and_they_recover() {
    let table: Arc<Table> = Arc::default();
    let processes: Vec<_> = (0..3).map(|seed| process(&table, 50.0, seed)).collect();
    let second = Duration::from_secs(1);
    calls(&processes, 10 * second).await;
    let before = calls(&processes, 10 * second).await;
    assert!((90..=110).contains(&before), "{before}");

    // Several calls that were under way are throttled; each process notes it, and the share is halved once.
    for budget in &processes {
        budget.throttled(Group::ClusterRead);
        budget.throttled(Group::ClusterRead);
    }
    let during = calls(&processes, 9 * second).await;
    assert!((35..=65).contains(&during), "half of the share: {during}");
    let noted: Vec<Throttled> =
        table.throttles().iter().map(|item| serde_json::from_str(&item.body).unwrap()).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].eighths(START * 1_000_000), 4);

    calls(&processes, 60 * second).await;
    let after = calls(&processes, 10 * second).await;
    assert!((90..=110).contains(&after), "the whole share again: {after}");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_item_takes_nothing_and_gives_nothing() {
    let table: Arc<Table> = Arc::default();
    let budget = process(&table, 50.0, 1);
    budget.wait(Group::ClusterRead).await;
    let partition = table.items()[0].key.partition.clone();
    let garbage = [THROTTLED, "zzz", "x", "99999999999999999999999"].map(|sort| Item {
        key: Key { partition: partition.clone(), sort: sort.to_owned() },
        body: "[".to_owned(),
        expires: i64::MAX,
    });
    table.put(garbage.to_vec()).await.unwrap();
    let made = calls(&[budget], MINUTE).await;
    assert!((590..=655).contains(&made), "{made}");
}
