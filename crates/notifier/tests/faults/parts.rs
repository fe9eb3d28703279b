//! The parts of a world and its processes: a simulator with queues, and the parts of the product.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::deliver::{self, Deliverer};
use notifier::fleet::{Discovery, HealthPolicy};
use notifier::ledger::{DAYS_DEFAULT, Ledger};
use notifier::model::Progress;
use notifier::model::network::Networks;
use notifier::pipeline::{Ctx, Senders};
use notifier::store::Store;
use serde_json::json;
use simulator::{Options, QueueSpec, Simulator, StartError};
use tokio::time::sleep;

use crate::notes::Notes;
use crate::run::{EPOCH, Ground, QUEUES};
use crate::script::TIMEOUT_MS;
use crate::world::World;

/// How long after it was queued a delivery is still tried: longer than what three killed daemons had hidden stays so.
const HORIZON: Duration = Duration::from_secs(100);
/// Who sends what a test puts on a queue itself, as the stage before would.
pub(crate) const STAGE: &str = "AIDACKCEVSQ6C2EXAMPLE";
/// Who sends every message of MiniStack: the account.
const MINISTACK: &str = "000000000000";

/// The parts of a daemon in this world.
pub(crate) fn ctx(
    aws: &Aws,
    world: &World,
    ground: &Ground,
    ledger: Option<Arc<dyn Store>>,
    clock: Clock,
) -> Ctx {
    let networks: Networks = "127.0.0.0/8".parse().unwrap();
    let options = deliver::DeliveryOptions {
        timeout: Duration::from_millis(TIMEOUT_MS),
        horizon: HORIZON,
        concurrency: world.concurrency,
        ..deliver::DeliveryOptions::default()
    };
    let deliverer = Deliverer::new(&options, networks.clone(), clock.clone(), Rng::seeded(world.seed));
    let ledger = ledger.map_or_else(Ledger::none, |store| Ledger::new(store, clock.clone(), DAYS_DEFAULT));
    let mut ctx = Ctx::new(
        Discovery::new(aws, HealthPolicy::Detect, networks),
        if world.is_signed { deliverer.with_auth(ground.trust.clone()) } else { deliverer },
        ledger,
        ground.notes.as_ref().map_or_else(Progress::default, Notes::progress),
        clock,
    );
    ctx.senders = Senders::new([simulator::user_id("simulator"), STAGE.to_owned(), MINISTACK.to_owned()]);
    if let Some(notes) = &ground.notes {
        notes.add(&format!("{ctx:?}\n{:?}", ground.trust));
    }
    ctx
}

/// Where files cost no disk, if there is such a place.
pub(crate) fn scratch() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}

/// A simulator with the world's queues; another process may take the addresses that were free a moment ago.
pub(crate) async fn start(world: &World) -> Simulator {
    let queues = QUEUES.iter().flat_map(|name| {
        let dead = format!("{name}-dead");
        let policy = json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:111122223333:{dead}"),
            "maxReceiveCount": world.receives_max.to_string(),
        });
        let attributes = [
            ("RedrivePolicy".to_owned(), policy.to_string()),
            ("VisibilityTimeout".to_owned(), world.visibility.to_string()),
        ];
        [
            QueueSpec { name: dead, attributes: BTreeMap::new() },
            QueueSpec { name: (*name).to_owned(), attributes: attributes.into() },
        ]
    });
    let options = Options { epoch: EPOCH, queues: queues.collect(), ..Options::default() };
    let mut tries = 0;
    loop {
        match Simulator::start(world.fleet.clone(), options.clone()).await {
            Err(StartError::Addresses { .. } | StartError::Listen(_)) if tries < 100 => tries += 1,
            started => return started.unwrap(),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The ARNs of the world's tasks, in its order.
pub(crate) fn arns(world: &World, sim: &Simulator) -> Vec<String> {
    let mut of_group: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for task in sim.tasks() {
        let group = task.service.unwrap_or(task.group);
        of_group.entry(group).or_default().push(task.arn);
    }
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    let arns = world.tasks.iter().map(|task| {
        let place = next.entry(&task.group).or_default();
        *place += 1;
        of_group[&task.group][*place - 1].clone()
    });
    arns.collect()
}
