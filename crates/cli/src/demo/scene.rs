//! The parts of the demo: the simulated AWS, and the daemon of `serve` on its queues.

use std::net::SocketAddr;

use notifier::aws::{Aws, identity};
use notifier::base::Rng;
use notifier::daemon::{DaemonError, Health, Served};
use notifier::deliver::Auth;
use notifier::ledger::Ledger;
use notifier::model::Progress;
use notifier::pipeline::{QueueName, Senders};
use notifier::queue::Queue;
use notifier::secrets::Vault;
use notifier::settings::{QueueUrls, Settings};
use notifier::{Notifier, Parts};
use simulator::{Fleet, Options, Simulator};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::signature::{KeyPair, VerifyingKeys};

use super::staging::{self, Role};
use crate::failure::Failure;
use crate::page;
use crate::simulate;
use crate::trial::{self, Folder, Simulated};

/// Everything that is set up before the event is published.
pub(super) struct Scene {
    pub(super) sim: Simulator,
    /// The queue for the event.
    pub(super) observer: Queue,
    /// The receivers' keys.
    pub(super) keys: VerifyingKeys,
    key: KeyPair,
    region: String,
    url: String,
    urls: QueueUrls,
    aws: Aws,
    settings: Settings,
    auth: Auth,
    senders: Senders,
    ledger: Ledger,
}

/// The running daemon.
pub(super) struct Daemon {
    running: JoinHandle<Result<Served, DaemonError>>,
    shutdown: CancellationToken,
}

impl Scene {
    /// Starts the simulated AWS for this cast. With a folder, outcomes are recorded in a ledger there.
    pub(super) async fn set(cast: &[Role], folder: Option<&Folder>) -> Result<Self, Failure> {
        let fleet = Fleet::from_toml(&staging::fleet(cast))
            .map_err(|error| Failure::usage("the demo cannot be staged like this").because(&error))?;
        let region = fleet.region.clone();
        let sim = start(fleet, cast).await?;
        let url = sim.url();
        let aws = Aws::at(&url, &region);
        let urls = trial::queues::create(&sim, &region, false).await?;
        let observer = queue(&aws, urls.get(&QueueName::Observer))
            .ok_or_else(|| Failure::failed("the demo has no observer queue"))?;
        let key = trial::key()?;
        let wrong = |error: &dyn std::error::Error| Failure::failed("the demo has no key").because(error);
        let keys = VerifyingKeys::parse(&key.public).map_err(|error| wrong(&error))?;
        let own = identity::unique_id(&aws).await.map_err(|error| {
            Failure::failed("the demo's daemon cannot read its own identity").because(&error)
        })?;
        let (settings, environment) = trial::settings(&urls, &key.private)?;
        let vault = Vault::new(environment, None);
        let auth = Auth::load(&settings.auth, &vault).await.map_err(|error| wrong(&error))?;
        let ledger = match folder {
            Some(folder) => folder.open_ledger(&aws).await?,
            None => Ledger::none(),
        };
        // `redrive` in another terminal sends to the inner queues, with other credentials.
        let senders = Senders::new([own, simulator::user_id(trial::ACCESS_KEY)]);
        Ok(Self { sim, observer, keys, key, region, url, urls, aws, settings, auth, senders, ledger })
    }

    /// The parts for a command in another terminal.
    pub(super) fn simulated(&self) -> Simulated<'_> {
        let Self { url, region, urls, key, .. } = self;
        Simulated { url, region, queues: urls, key: &key.private }
    }

    /// A page on the ledger.
    pub(super) async fn page(&self, listen: SocketAddr) -> Result<page::Opened, Failure> {
        let (token, allowed_hosts) = (page::Token::New, Vec::new());
        let options = page::Options { listen, token, allowed_hosts, allow_actions: false, redriver: None };
        page::Opened::new(options, self.ledger.clone(), self.settings.delivery.horizon).await
    }

    /// Starts the daemon with this progress.
    pub(super) fn serve(&self, progress: Progress) -> Daemon {
        let parts = Parts {
            auth: self.auth.clone(),
            ledger: self.ledger.clone(),
            senders: self.senders.clone(),
            progress,
            ..Parts::default()
        };
        let notifier = Notifier::new(self.settings.clone(), self.aws.clone(), parts);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { notifier.run(Health::default(), stop).await });
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
        // Enough to notice unexpected calls.
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
