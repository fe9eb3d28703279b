//! The facade: builds the whole notifier from settings.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wire::{Broadcast, ObserverMessage};

use crate::aws::{self, Aws, LoadError, budget::Budget, identity};
use crate::base::text::chain;
use crate::base::{Environment, Rng};
use crate::daemon::{self, DaemonError, DaemonOptions, Health, Served, StageOptions};
use crate::deliver::{Auth, Deliverer};
use crate::fleet::{Discovery, DiscoveryError};
use crate::ledger::{self, BroadcastRecord, Ledger, LedgerError, Recorded};
use crate::model::{Fleet, Progress};
use crate::pipeline::resend;
use crate::pipeline::send::{self, SendError};
use crate::pipeline::{Ctx, Handler, QueueName, Senders, Stage, StageName, Work};
use crate::queue::Queue;
use crate::report::Report;
use crate::secrets::{SecretError, Vault};
use crate::settings::Settings;

/// The parts of a notifier besides its settings and AWS clients. The default does not sign and has no ledger.
#[derive(Debug, Default)]
pub struct Parts {
    /// Signs requests, and checks certificates.
    pub auth: Auth,
    /// Records every outcome.
    pub ledger: Ledger,
    /// The trusted senders of the inner queues.
    pub senders: Senders,
    /// Receives progress events.
    pub progress: Progress,
    /// When cancelled, [`Notifier::send`] begins no attempt.
    pub stop: CancellationToken,
}

/// Why a notifier cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum StartError {
    #[error(transparent)]
    Aws(#[from] LoadError),
    #[error("a secret cannot be read")]
    Secret(#[from] SecretError),
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
}

/// The notifier: finds the running tasks of a scope, calls each, and records the outcome. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Notifier {
    ctx: Arc<Ctx>,
    aws: Aws,
    settings: Settings,
    rng: Rng,
}

impl Notifier {
    /// A notifier with the AWS clients, secrets and ledger of the settings and the environment.
    pub async fn from_settings(settings: Settings, environment: &Environment) -> Result<Self, StartError> {
        let budget = Budget::percent(settings.aws_budget_percent);
        let aws = Aws::load(aws::AwsOptions { budget, ..aws::AwsOptions::default() }).await?.in_region()?;
        let vault = Vault::new(environment.clone(), Some(aws.secrets.clone()));
        let auth = Auth::load(&settings.auth, &vault).await?;
        let ledger = ledger::open(&settings.ledger, &aws, ledger::Use::Call).await?;
        let senders = senders(&settings, &aws).await;
        Ok(Self::new(settings, aws, Parts { auth, ledger, senders, ..Parts::default() }))
    }

    /// A notifier of these parts.
    pub fn new(settings: Settings, aws: Aws, parts: Parts) -> Self {
        let Parts { auth, ledger, senders, progress, stop } = parts;
        let (clock, rng) = (aws.clock(), Rng::from_entropy());
        let networks = settings.allow_networks.clone();
        let discovery = Discovery::new(&aws, settings.health, networks.clone());
        let deliverer = Deliverer::new(&settings.delivery, networks, clock.clone(), rng.clone());
        let mut ctx = Ctx::new(discovery, deliverer.with_auth(auth), ledger, progress, clock);
        (ctx.senders, ctx.stop) = (senders, stop);
        Self { ctx: Arc::new(ctx), aws, settings, rng }
    }

    /// The shared parts of the stages.
    pub fn ctx(&self) -> &Arc<Ctx> {
        &self.ctx
    }

    /// The fleet that a broadcast to this scope would call now, with skipped containers and the reasons. Calls no task.
    pub async fn plan(&self, scope: &ObserverMessage) -> Result<Fleet, DiscoveryError> {
        self.ctx.discovery.fleet(scope).await
    }

    /// Calls every opted-in container of the scope, and waits until each delivery has ended.
    pub async fn send(&self, scope: &ObserverMessage, broadcast: &Broadcast) -> Result<Report, SendError> {
        send::send(&self.ctx, scope, broadcast, None).await
    }

    /// Calls the containers of an earlier broadcast that were not notified.
    pub async fn resend(
        &self,
        record: &BroadcastRecord,
        recorded: &Recorded,
        broadcast: &Broadcast,
    ) -> Result<Report, SendError> {
        resend::send(&self.ctx, record, recorded, broadcast).await
    }

    /// Runs every stage on the queues of the settings until `shutdown`, then finishes or returns the messages in flight.
    pub async fn run(&self, health: Health, shutdown: CancellationToken) -> Result<Served, DaemonError> {
        let queues = QueueName::ALL.into_iter().filter_map(|name| Some((name, self.queue(name)?))).collect();
        let grace = self.settings.daemon.grace;
        let mut options = DaemonOptions { grace, health, ..DaemonOptions::new(self.rng.clone()) };
        options.stages.insert(StageName::Notify, StageOptions::new(self.settings.delivery.concurrency));
        daemon::serve(Arc::clone(&self.ctx), queues, options, shutdown).await
    }

    /// The work of one stage and its source queue; `None` if the settings lack one of its queues.
    pub fn stage(&self, name: StageName) -> Option<(Queue, Work)> {
        let stage: &Stage = name.stage();
        let next = match stage.next {
            Some(next) => Some(self.queue(next)?),
            None => None,
        };
        let handler = Handler::Stage(Arc::clone(&self.ctx));
        Some((self.queue(stage.source)?, Work { stage: name, next, handler, rng: self.rng.clone() }))
    }

    /// The queue of this name, if the settings have its URL.
    pub fn queue(&self, name: QueueName) -> Option<Queue> {
        let url = self.settings.queues.get(&name)?;
        Some(Queue::at(self.aws.sqs.clone(), url, self.rng.clone()))
    }
}

/// The trusted senders of the inner queues: those of the settings, and this process itself.
pub async fn senders(settings: &Settings, aws: &Aws) -> Senders {
    let mut senders = settings.trusted_senders.clone();
    match identity::unique_id(aws).await {
        Ok(id) => senders.add(id),
        Err(error) => tracing::warn!(
            error = chain(&error),
            "This process cannot read its own identity, so it does not trust its own messages and checks the task in \
             ECS before every call. Set the trusted senders in NOTIFIER_TRUSTED_SENDERS"
        ),
    }
    senders
}
