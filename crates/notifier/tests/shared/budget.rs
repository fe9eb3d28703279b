//! Ten processes over one table stay inside one account's share: the simulator counts their calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use notifier::aws::Aws;
use notifier::aws::budget::{Budget, Group};
use notifier::base::Rng;
use notifier::store::Store;
use notifier::store::budget::InstallationBudget;
use notifier::store::sqlite::Sqlite;
use simulator::faults::{Fault, When};
use simulator::{Call, Fleet, Options, Outcome, Simulator};
use tokio::task::JoinSet;

use crate::stores;

/// The share of the test: a burst of 20 calls, and 4 a second.
const PERCENT: f64 = 20.0;
const BURST: f64 = 20.0;
const REFILL_PER_S: f64 = 4.0;
const PROCESSES: usize = 10;
/// How much later a call may arrive than its token allowed, on a busy machine.
const LATE_S: f64 = 2.0;

async fn simulator() -> Simulator {
    let fleet = Fleet::from_toml("addresses = 'private'\n[[cluster]]\nname = 'prod'").unwrap();
    Simulator::start(fleet, Options { throttle_like_aws: true, ..Options::default() }).await.unwrap()
}

/// The clients of a new process.
fn process(sim: &Simulator, store: Option<Arc<dyn Store>>) -> Aws {
    let at = Aws::at(&sim.url(), "us-east-1");
    // The clients get the budget when they are made, as those of a process do.
    let aws = Aws::from_sdk_config((*at.config).clone(), Budget::percent(PERCENT));
    if let Some(store) = store {
        aws.budget.share(Arc::new(InstallationBudget::new(store, &aws, Rng::from_entropy())));
    }
    aws
}

/// Each process lists tasks as often as its budget allows.
async fn list_tasks(processes: Vec<Aws>, time: Duration) {
    let end = Instant::now() + time;
    let mut running = JoinSet::new();
    for aws in processes {
        running.spawn(async move {
            while Instant::now() < end {
                aws.budget.wait(Group::ClusterRead).await;
                aws.ecs.list_tasks().cluster("prod").send().await.unwrap();
            }
        });
    }
    running.join_all().await;
}

fn lists(sim: &Simulator) -> Vec<Call> {
    sim.calls().into_iter().filter(|call| call.operation == "ListTasks").collect()
}

/// The claim, with one handle of a table for each process.
async fn stay_inside(stores: Vec<Arc<dyn Store>>) {
    assert_eq!(stores.len(), PROCESSES);
    let sim = simulator().await;
    let processes: Vec<_> = stores.into_iter().map(|store| process(&sim, Some(store))).collect();
    let begun = Instant::now();
    list_tasks(processes, Duration::from_secs(12)).await;
    let took = begun.elapsed().as_secs_f64();

    let calls = lists(&sim);
    let refused = calls.iter().filter(|call| call.outcome != Outcome::Answered).count();
    assert_eq!(refused, 0, "AWS throttled nobody");
    for (first, from) in calls.iter().enumerate() {
        for (count, to) in (1_u32..).zip(&calls[first..]) {
            let window = to.at.saturating_sub(from.at).as_secs_f64();
            let most = BURST + REFILL_PER_S * (window + LATE_S);
            assert!(f64::from(count) <= most, "{count} calls within {window} s");
        }
    }
    // And they use it: a busy machine may lose some chunks to latency, but not most.
    let made = calls.len() as f64;
    assert!(made >= 0.6 * (BURST + REFILL_PER_S * 12.0), "{made} calls");
    assert!(made <= BURST + REFILL_PER_S * took + 1.0, "{made} calls in {took} s");
}

#[tokio::test]
async fn ten_processes_on_one_file_stay_inside_the_share() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for _ in 0..PROCESSES {
        // A handle has a connection and a thread of its own, like one of another process.
        stores.push(Arc::new(Sqlite::open(&path, notifier::base::Clock::system()).await.unwrap()));
    }
    stay_inside(stores).await;
}

#[tokio::test]
async fn ten_processes_on_a_table_of_ministack_stay_inside_the_share() {
    let emulator = stores::ministack().await;
    let store: Arc<dyn Store> = Arc::new(stores::dynamodb(&emulator, "budget").await);
    stay_inside(vec![store; PROCESSES]).await;
}

#[tokio::test]
async fn without_a_table_each_has_a_share_of_its_own() {
    let sim = simulator().await;
    let processes = (0..PROCESSES).map(|_| process(&sim, None)).collect();
    let begun = Instant::now();
    list_tasks(processes, Duration::from_secs(1)).await;
    let (made, took) = (lists(&sim).len() as f64, begun.elapsed().as_secs_f64());
    assert!(made > 2.0 * (BURST + REFILL_PER_S * took), "{made} calls in {took} s");
}

#[tokio::test]
async fn a_throttle_reaches_the_table_and_every_process() {
    let (table, sim) = (stores::Table::sqlite().await, simulator().await);
    sim.faults().order("ListTasks", When::First(1), Fault::Throttle);
    let one = process(&sim, Some(Arc::clone(&table.store)));
    one.budget.wait(Group::ClusterRead).await;
    one.ecs.list_tasks().cluster("prod").send().await.unwrap();
    one.budget.wait(Group::ClusterRead).await;
    let partition = "budget#111122223333#us-east-1#ecs-cluster-resource-read#20";
    let items = stores::all(&*table.store, stores::range(partition, "throttled", false)).await;
    assert_eq!(items.len(), 1, "the account is the one that STS names");
    assert!(items[0].body.starts_with("{\"eighths\":4,"), "{}", items[0].body);

    // Another process has half of the share too: 20 at once at most, and 2 a second.
    let other = process(&sim, Some(Arc::clone(&table.store)));
    let begun = Instant::now();
    for _ in 0..24 {
        other.budget.wait(Group::ClusterRead).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
}
