//! What the demo runs: the simulated AWS, and the daemon of `serve` on its queues.

use std::sync::Arc;
use std::time::Duration;

use notifier::aws::{Aws, identity};
use notifier::base::Environment;
use notifier::base::{Clock, Rng};
use notifier::daemon::{self, DaemonError, Queues, Served, StageOptions};
use notifier::deliver::{self, Auth, AuthSettings, Deliverer, Signing};
use notifier::fleet::{Discovery, HealthPolicy};
use notifier::ledger::Ledger;
use notifier::model::Progress;
use notifier::model::network::Networks;
use notifier::pipeline::{Ctx, Senders};
use notifier::queue::Queue;
use notifier::secrets::{SecretError, SecretRef, Vault};
use notifier::settings::QueueUrls;
use simulator::{Fleet, Options, Simulator};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::signature::{KeyPair, VerifyingKeys};

use super::staging::{self, Role};
use crate::failure::Failure;
use crate::simulate;
use crate::trial::{self, Folder, Simulated};

/// Everything that is there before the event is published.
pub(super) struct Scene {
    pub(super) sim: Simulator,
    /// Where the event is published.
    pub(super) observer: Queue,
    /// What the receivers know of the key that signs.
    pub(super) keys: VerifyingKeys,
    key: KeyPair,
    region: String,
    url: String,
    urls: QueueUrls,
    aws: Aws,
    trust: Auth,
    networks: Networks,
    senders: Senders,
    ledger: Ledger,
}

/// The daemon at work.
pub(super) struct Daemon {
    running: JoinHandle<Result<Served, DaemonError>>,
    shutdown: CancellationToken,
}

impl Scene {
    /// Starts the simulated AWS for this cast. With a folder, a ledger in it keeps what happens.
    pub(super) async fn set(cast: &[Role], folder: Option<&Folder>) -> Result<Self, Failure> {
        let fleet = Fleet::from_toml(&staging::fleet(cast))
            .map_err(|error| Failure::usage("the demo cannot be staged like this").because(&error))?;
        let region = fleet.region.clone();
        let sim = start(fleet, cast).await?;
        let url = sim.url();
        let aws = Aws::at(&url, &region);
        let urls = trial::queues::create(&sim, &region).await?;
        let observer = queue(&aws, urls.observer.as_ref())
            .ok_or_else(|| Failure::failed("the demo has no observer queue"))?;
        let key = trial::key()?;
        let wrong = |error: &dyn std::error::Error| Failure::failed("the demo has no key").because(error);
        let keys = VerifyingKeys::parse(&key.public).map_err(|error| wrong(&error))?;
        let trust = trust(&key).await.map_err(|error| wrong(&error))?;
        let own = identity::unique_id(&aws)
            .await
            .map_err(|error| Failure::failed("the demo's daemon does not know who it is").because(&error))?;
        // The only form in which loopback may be called.
        let networks = trial::NETWORKS
            .parse()
            .map_err(|error| Failure::failed("loopback cannot be allowed").because(&error))?;
        let ledger = match folder {
            Some(folder) => folder.open_ledger(&aws).await?,
            None => Ledger::none(),
        };
        // Whoever redrives from another terminal sends to the inner queues.
        let senders = Senders::new([own, simulator::user_id(trial::ACCESS_KEY)]);
        Ok(Self { sim, observer, keys, key, region, url, urls, aws, trust, networks, senders, ledger })
    }

    /// What a command in another terminal must know.
    pub(super) fn simulated(&self) -> Simulated<'_> {
        let Self { url, region, urls, key, .. } = self;
        Simulated { url, region, queues: urls, key: &key.private }
    }

    /// Starts the daemon, which tells of every step.
    pub(super) fn serve(&self, progress: Progress) -> Daemon {
        let Self { observer, aws, urls, networks, .. } = self;
        // Nobody wants to wait minutes for the task that refuses on purpose.
        let options =
            deliver::DeliveryOptions { horizon: Duration::ZERO, ..deliver::DeliveryOptions::default() };
        let clock = Clock::system();
        let deliverer = Deliverer::new(&options, networks.clone(), clock.clone(), Rng::from_entropy());
        let ctx = Ctx::new(
            Discovery::new(aws, HealthPolicy::Detect, networks.clone()),
            deliverer.trusting(self.trust.clone()),
            self.ledger.clone(),
            progress,
            clock,
        );
        let queues = Queues {
            observer: Some(observer.clone()),
            services: queue(aws, urls.services.as_ref()),
            tasks: queue(aws, urls.tasks.as_ref()),
        };
        let options = daemon::DaemonOptions {
            notify: Some(StageOptions::new(deliver::DeliveryOptions::default().concurrency)),
            grace: Duration::from_secs(2),
            ..daemon::DaemonOptions::new(Rng::from_entropy())
        };
        let shutdown = CancellationToken::new();
        let ctx = Arc::new(ctx.believing(self.senders.clone()));
        let running = tokio::spawn(daemon::serve(ctx, queues, options, shutdown.clone()));
        Daemon { running, shutdown }
    }
}

impl Daemon {
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        let ended =
            self.running.await.map_err(|error| Failure::failed("the daemon crashed").because(&error))?;
        ended.map(drop).map_err(|error| Failure::failed("the daemon failed").because(&error))
    }
}

async fn start(fleet: Fleet, cast: &[Role]) -> Result<Simulator, Failure> {
    let expected: usize = cast.iter().flat_map(|role| &role.calls).sum();
    let options = Options {
        // Enough to notice calls that should not have been made.
        received_max: 2 * expected + 1_000,
        epoch: simulate::now(),
        ..Options::default()
    };
    Simulator::start(fleet, options)
        .await
        .map_err(|error| Failure::failed("the demo cannot start").because(&error))
}

fn queue(aws: &Aws, url: Option<&String>) -> Option<Queue> {
    url.map(|url| Queue::at(aws.sqs.clone(), url, Rng::from_entropy()))
}

async fn trust(key: &KeyPair) -> Result<Auth, SecretError> {
    let environment: Environment = [(trial::KEY_VARIABLE, key.private.as_str())].into_iter().collect();
    let signing = Signing::By(vec![SecretRef::Env(trial::KEY_VARIABLE.to_owned())]);
    let options = AuthSettings { signing, ..AuthSettings::default() };
    Auth::load(&options, &Vault::new(environment, None)).await
}
