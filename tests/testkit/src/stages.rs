//! The stages of the pipeline for tasks on loopback, and a ledger in a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::daemon::{Health, Worker};
use notifier::deliver::{Auth, Deliverer, DeliveryOptions};
use notifier::fleet::{Discovery, HealthPolicy};
use notifier::ledger::{DAYS_DEFAULT, Ledger};
use notifier::model::Progress;
use notifier::model::network::Networks;
use notifier::pipeline::{Ctx, Handler, QueueName, Senders, StageName, Work};
use notifier::queue::Queue;
use notifier::store::sqlite::Sqlite;
use tempfile::TempDir;

/// Settings of the stages. By default they trust the simulator's user and sign nothing.
#[derive(Clone, Debug)]
pub struct Stages {
    /// Limits and retries of deliveries.
    pub options: DeliveryOptions,
    /// Keys and headers of requests.
    pub auth: Auth,
    /// The clock of deliveries and stages.
    pub clock: Clock,
    /// The trusted senders.
    pub senders: Senders,
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            options: DeliveryOptions::default(),
            auth: Auth::default(),
            clock: Clock::system(),
            senders: Senders::new([simulator::user_id("simulator")]),
        }
    }
}

impl Stages {
    /// Returns the stages with this AWS and this ledger. They call only tasks on loopback.
    pub fn on(self, aws: &Aws, ledger: &Ledger) -> Ctx {
        let Self { options, auth, clock, senders } = self;
        let networks: Networks = "127.0.0.0/8".parse().unwrap();
        let deliverer =
            Deliverer::new(&options, networks.clone(), clock.clone(), Rng::seeded(1)).with_auth(auth);
        let discovery = Discovery::new(aws, HealthPolicy::Detect, networks);
        let mut ctx = Ctx::new(discovery, deliverer, ledger.clone(), Progress::default(), clock);
        ctx.senders = senders;
        ctx
    }
}

/// The queues of the pipeline, by name.
pub type Queues = BTreeMap<QueueName, Queue>;

/// Returns the daemon's workers for these stages.
pub fn workers(ctx: &Arc<Ctx>, queues: &Queues, stages: &[StageName]) -> Vec<Worker> {
    let worker = |name: &StageName| {
        let stage = name.stage();
        let next = stage.next.map(|next| queues[&next].clone());
        let handler = Handler::Stage(Arc::clone(ctx));
        Worker {
            work: Work {
                stage: *name,
                source: queues[&stage.source].clone(),
                next,
                handler,
                rng: Rng::seeded(1),
            },
            concurrency: stage.concurrency,
            grace: Duration::from_secs(20),
            health: Health::default(),
        }
    };
    stages.iter().map(worker).collect()
}

/// Returns a ledger in a file, and the folder that holds the file until it is dropped.
pub async fn file_ledger() -> (Ledger, TempDir) {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::system());
    let file = Sqlite::open(folder.path().join("ledger.db"), clock.clone()).await.unwrap();
    (Ledger::new(Arc::new(file), clock, DAYS_DEFAULT), folder)
}
