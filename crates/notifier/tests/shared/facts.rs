//! A process asks AWS about no task definition and no host that another one knows.

use std::sync::Arc;
use std::time::Duration;

use notifier::aws::Aws;
use notifier::base::Rng;
use notifier::fleet::{Discovery, HealthPolicy};
use notifier::model::Fleet;
use notifier::model::network::Networks;
use notifier::store::dynamodb::DynamoDb;
use notifier::store::{Item, Store};
use simulator::{Options, Simulator};
use testkit::fake_dynamodb::{FakeDynamoDb, Fate};
use wire::{Broadcast, BroadcastId, Draft, ObserverMessage};

use crate::stores::{self, NOW, Table, clock_at};

const DAYS: u32 = 30;
/// The calls that known facts save.
const SAVED: [&str; 4] = [
    "DescribeTaskDefinition",
    "DescribeContainerInstances",
    "DescribeInstances",
    "DescribeInstanceInformation",
];

/// Three services with a revision each, on EC2 hosts, on Fargate and outside AWS.
async fn simulator() -> Simulator {
    let service = |name: &str, launch_type: &str, port: u16| {
        format!(
            "[[cluster.service]]\nname = '{name}'\nlaunch_type = '{launch_type}'\ntasks = 3\n\
             [[cluster.service.container]]\nname = 'app'\nports = [{port}]\n\
             labels = {{ NOTIFY_ME_CONTAINER_PORT = '{port}', NOTIFY_ME_API_URI = '/notify' }}\n"
        )
    };
    let toml = format!(
        "addresses = 'private'\n[[cluster]]\nname = 'prod'\n[[cluster.hosts]]\ncount = 2\n\
         [[cluster.hosts]]\nkind = 'anywhere'\n{}{}{}",
        service("bridge", "EC2", 8080),
        service("fargate", "FARGATE", 8081),
        service("outside", "EXTERNAL", 8082)
    );
    Simulator::start(simulator::Fleet::from_toml(&toml).unwrap(), Options::default()).await.unwrap()
}

/// The discovery of a new process with this store.
fn process(sim: &Simulator, store: Option<&Arc<dyn Store>>, anywhere: bool) -> Discovery {
    let networks: Networks = "0.0.0.0/0".parse().unwrap();
    Discovery::new(&Aws::at(&sim.url(), "us-east-1"), HealthPolicy::Detect, networks)
        .with_store(store.cloned(), clock_at(NOW), DAYS)
        .with_anywhere(anywhere)
}

async fn whole(discovery: &Discovery) -> Fleet {
    discovery.fleet(&ObserverMessage::new("prod")).await.unwrap()
}

/// The same by the stages of the queues.
async fn by_stages(discovery: &Discovery) -> Fleet {
    let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
    let broadcast = Broadcast::new(Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap());
    let services = discovery.services(&ObserverMessage::new("prod"), &broadcast).await.unwrap();
    let mut fleet = Fleet { skips: services.skips, ..Fleet::default() };
    for message in &services.messages {
        fleet.extend(discovery.tasks(message).await.unwrap());
    }
    fleet.sort();
    fleet
}

/// The numbers of those calls since the last time.
fn saved(sim: &Simulator) -> [u64; SAVED.len()] {
    let counts = SAVED.map(|operation| sim.count(operation));
    sim.reset_calls();
    counts
}

/// The claim, on a store with nothing in it.
async fn a_second_process_describes_nothing_again(store: &Arc<dyn Store>) {
    let sim = simulator().await;
    let expected = whole(&process(&sim, None, true)).await;
    assert_eq!((expected.endpoints.len(), expected.skips.len()), (9, 0), "{:?}", expected.skips);
    let each = saved(&sim);
    assert_eq!(each, [3, 1, 1, 1]);

    assert_eq!(whole(&process(&sim, Some(store), true)).await, expected);
    assert_eq!(saved(&sim), each, "the first process");
    assert_eq!(whole(&process(&sim, Some(store), true)).await, expected);
    assert_eq!(saved(&sim), [0; 4], "the second process");
    assert_eq!(by_stages(&process(&sim, Some(store), true)).await, expected);
    assert_eq!(saved(&sim), [0; 4], "the stages");
    // The setting of the process counts, not that of the process which looked the host up.
    let home = whole(&process(&sim, Some(store), false)).await;
    assert_eq!((home.endpoints.len(), home.skips.len()), (6, 3));
}

#[tokio::test]
async fn a_second_process_describes_nothing_again_with_a_file() {
    a_second_process_describes_nothing_again(&Table::sqlite().await.store).await;
}

#[tokio::test]
async fn a_second_process_describes_nothing_again_with_ministack() {
    let emulator = stores::ministack().await;
    let store: Arc<dyn Store> = Arc::new(stores::dynamodb(&emulator, "facts").await);
    a_second_process_describes_nothing_again(&store).await;
}

#[tokio::test]
async fn a_second_process_describes_nothing_again_with_moto() {
    let emulator = stores::moto().await;
    let store: Arc<dyn Store> = Arc::new(stores::dynamodb(&emulator, "facts").await);
    a_second_process_describes_nothing_again(&store).await;
}

#[tokio::test]
async fn a_store_that_fails_costs_calls_and_no_wrong_answer() {
    let fates = [
        Fate::Refused(400, "AccessDeniedException"),
        Fate::Refused(400, "ResourceNotFoundException"),
        Fate::Silence,
        Fate::Garbage,
    ];
    for fate in fates {
        let fake = FakeDynamoDb::start(move |_| fate).await;
        let client = Aws::at(&fake.url, "us-east-1").dynamodb;
        let store: Arc<dyn Store> = Arc::new(DynamoDb::new(client, "t", Rng::seeded(1)));
        let sim = simulator().await;
        let expected = whole(&process(&sim, None, true)).await;
        let each = saved(&sim);
        let process = process(&sim, Some(&store), true);
        let found = tokio::time::timeout(Duration::from_secs(60), whole(&process)).await;
        assert_eq!(found.unwrap(), expected, "{fate:?}");
        assert_eq!(saved(&sim), each, "{fate:?}");
    }
}

/// Every fact in the store.
async fn facts(store: &dyn Store) -> Vec<Item> {
    let mut items = Vec::new();
    for kind in ["revision", "host"] {
        for shard in 0..16 {
            let partition = format!("fact#{kind}#{shard:02}");
            items.extend(stores::all(store, stores::range(&partition, "", false)).await);
        }
    }
    items
}

#[tokio::test]
async fn garbage_in_the_store_costs_calls_and_no_wrong_answer() {
    let (table, sim) = (Table::sqlite().await, simulator().await);
    let expected = whole(&process(&sim, Some(&table.store), true)).await;
    let each = saved(&sim);
    let good = facts(&*table.store).await;
    assert_eq!(good.len(), 3 + 3, "a revision of each service, and three hosts");
    for garbage in ["", "\u{0}", "[]", "{\"network\":\"host\"}", "{\"ip\":\"::g\",\"is_outside\":false}"] {
        let bad = good.iter().map(|item| Item { body: garbage.to_owned(), ..item.clone() });
        table.store.put(bad.collect()).await.unwrap();
        assert_eq!(whole(&process(&sim, Some(&table.store), true)).await, expected, "{garbage}");
        assert_eq!(saved(&sim), each, "{garbage}");
        assert_eq!(facts(&*table.store).await, good, "the facts are there again");
    }
}

#[tokio::test]
async fn an_address_from_the_store_is_checked_like_one_from_aws() {
    let (table, sim) = (Table::sqlite().await, simulator().await);
    whole(&process(&sim, Some(&table.store), true)).await;
    for address in ["169.254.170.2", "127.0.0.1", "fd00:ec2::254"] {
        let hosts = facts(&*table.store).await.into_iter().filter(|item| item.key.partition.contains("host"));
        let body = format!("{{\"ip\":\"{address}\",\"is_outside\":false}}");
        let forged = hosts.map(|item| Item { body: body.clone(), ..item });
        table.store.put(forged.collect()).await.unwrap();
        let fleet = whole(&process(&sim, Some(&table.store), true)).await;
        assert_eq!((fleet.endpoints.len(), fleet.skips.len()), (3, 6), "only Fargate needs no host");
        assert!(fleet.skips.iter().all(|skip| skip.reason.as_deref().unwrap().contains(address)));
    }
}
