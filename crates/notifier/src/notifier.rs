//! The facade: builds the whole notifier from settings.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, ObserverMessage};

use crate::aws::{self, Aws, LoadError, budget::Budget, identity};
use crate::base::spans::Spans;
use crate::base::text::chain;
use crate::base::{Environment, Rng};
use crate::daemon::{self, DaemonError, Health, Served, Worker};
use crate::deliver::{Auth, Deliverer};
use crate::fleet::registry::Registry;
use crate::fleet::{Discovery, DiscoveryError};
use crate::ledger::{self, BroadcastRecord, Ledger, LedgerError, Recorded};
use crate::model::Progress;
use crate::pipeline::AlarmReader;
use crate::pipeline::ask::{self, Asking};
use crate::pipeline::resend;
use crate::pipeline::send::{self, SendError};
use crate::pipeline::{
    Ctx, Handler, Plan, QueueName, Routing, STAGES, Senders, Stage, StageName, Work, clusters,
};
use crate::queue::{Depth, Queue};
use crate::report::Report;
use crate::secrets::{SecretError, Vault};
use crate::settings::Settings;
use crate::store::{self, budget::InstallationBudget};
use crate::telemetry::{MetricsSources, QueueDepths, RegistryGauges};

/// The parts of a notifier besides its settings and AWS clients. The default does not sign and has no ledger.
#[derive(Debug, Default)]
pub struct Parts {
    /// Signs requests, and checks certificates.
    pub auth: Auth,
    /// Records every outcome.
    pub ledger: Ledger,
    /// Whether the ledger's table is only used for what the installation shares: budget, facts, registry.
    pub unrecorded: bool,
    /// The rules that make broadcasts from records of sources.
    pub routes: Routing,
    /// The trusted senders of the inner queues.
    pub senders: Senders,
    /// Receives progress events.
    pub progress: Progress,
    /// Receives finished spans.
    pub spans: Spans,
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
        let aws = Aws::load(aws::AwsOptions {
            budget,
            roles: settings.roles.clone(),
            ..aws::AwsOptions::default()
        })
        .await?
        .in_region()?;
        let vault = Vault::new(environment.clone(), Some(aws.secrets.clone()));
        let auth = Auth::load(&settings.auth, &vault).await?;
        let ledger = ledger::open(&settings.ledger, &aws, store::Use::Call).await?;
        let routes = Routing::load(settings.routes.as_ref(), settings.auth.refresh, &vault).await?;
        let senders = senders(&settings, &aws).await;
        Ok(Self::new(settings, aws, Parts { auth, ledger, routes, senders, ..Parts::default() }))
    }

    /// A notifier of these parts.
    pub fn new(settings: Settings, aws: Aws, parts: Parts) -> Self {
        let Parts { auth, ledger, unrecorded, routes, senders, progress, spans, stop } = parts;
        let (clock, rng) = (aws.clock(), Rng::from_entropy());
        if let Some(store) = ledger.store().filter(|_| settings.aws_budget_shared) {
            aws.budget.share(Arc::new(InstallationBudget::new(store, &aws, rng.clone())));
        }
        let networks = settings.allow_networks.clone();
        let registry = registry(&settings, &aws, &ledger, &rng);
        let discovery = Discovery::new(&aws, settings.health, networks.clone())
            .with_anywhere(settings.anywhere)
            .with_method(settings.discovery)
            .with_store(ledger.store(), clock.clone(), settings.ledger.days)
            .with_registry(registry.clone());
        let deliverer = Deliverer::new(&settings.delivery, networks, clock.clone(), rng.clone());
        let ledger = if unrecorded { Ledger::none() } else { ledger };
        let mut ctx =
            Ctx::new(discovery, deliverer.with_auth(auth).with_spans(spans), ledger, progress, clock);
        ctx.registry = registry;
        ctx.alarms = AlarmReader::new(aws.cloudwatch.clone());
        (ctx.routes, ctx.senders, ctx.stop) = (routes, senders, stop);
        Self { ctx: Arc::new(ctx), aws, settings, rng }
    }

    /// The shared parts of the stages.
    pub fn ctx(&self) -> &Arc<Ctx> {
        &self.ctx
    }

    /// The fleet that a broadcast to this scope would call now, with skipped containers and the reasons. Calls no task.
    ///
    /// # Errors
    ///
    /// If the only cluster cannot be reached. Of several clusters, those that cannot be reached are in the plan.
    pub async fn plan(&self, scope: &ObserverMessage) -> Result<Plan, DiscoveryError> {
        clusters::plan(&self.ctx, scope).await
    }

    /// Calls every opted-in container of the scope, and waits until each delivery has ended.
    pub async fn send(&self, scope: &ObserverMessage, broadcast: &Broadcast) -> Result<Report, SendError> {
        send::send(&self.ctx, scope, broadcast, None).await
    }

    /// Asks every opted-in container of the scope, and waits until each has answered or its time has ended.
    pub async fn ask(&self, scope: &ObserverMessage, asking: &Arc<Asking>) -> Result<(), SendError> {
        ask::ask(&self.ctx, scope, asking).await
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
        let Settings { delivery, daemon, .. } = &self.settings;
        let worker = |stage: &Stage| {
            let work = self.stage(stage.name)?;
            let concurrency = if stage.calls_tasks { delivery.concurrency } else { stage.concurrency };
            Ok(Worker { work, concurrency, grace: daemon.grace, health: health.clone() })
        };
        let registry_queue = self.settings.queues.get(&QueueName::Registry);
        let stages = STAGES.iter().filter(|stage| !stage.is_optional || registry_queue.is_some());
        let workers = stages.map(worker).collect::<Result<_, DaemonError>>()?;
        let served = daemon::serve(workers, shutdown);
        let (Some(registry), Some(url)) = (&self.ctx.registry, registry_queue) else { return served.await };
        let queue = Queue::at(self.aws.sqs.clone(), url, self.rng.clone());
        tokio::select! {
            served = served => served,
            // It does not end by itself.
            () = daemon::request_sweeps(registry, &queue) => Ok(Served::default()),
        }
    }

    /// The parts of this notifier that count for themselves, for its metrics.
    pub fn metrics_sources(&self) -> MetricsSources {
        let queue = |(name, url): (&QueueName, &String)| {
            (*name, Queue::at(self.aws.sqs.clone(), url, self.rng.clone()))
        };
        MetricsSources {
            calls: self.aws.calls.clone(),
            budget: self.aws.budget.clone(),
            ledger: self.ctx.ledger.clone(),
            registry: self.ctx.registry.clone().map(RegistryGauges::new),
            progress: self.ctx.progress.clone(),
            spans: self.ctx.deliverer.spans().clone(),
            depths: Some(QueueDepths::new(self.settings.queues.iter().map(queue).collect())),
        }
    }

    /// The work of one stage.
    ///
    /// # Errors
    ///
    /// If the settings lack one of its queues.
    pub fn stage(&self, stage: StageName) -> Result<Work, DaemonError> {
        let queue = |name| {
            let url =
                self.settings.queues.get(&name).ok_or(DaemonError::MissingQueue { stage, queue: name })?;
            Ok(Queue::at(self.aws.sqs.clone(), url, self.rng.clone()))
        };
        let Stage { source, next, .. } = stage.stage();
        let (source, next) = (queue(*source)?, next.map(queue).transpose()?);
        let handler = Handler::Stage(Arc::clone(&self.ctx));
        Ok(Work { stage, source, next, handler, rng: self.rng.clone() })
    }
}

/// The registry of the settings, in the ledger's table.
fn registry(settings: &Settings, aws: &Aws, ledger: &Ledger, rng: &Rng) -> Option<Registry> {
    if settings.registry.clusters.is_empty() {
        return None;
    }
    let registry = Registry::new(ledger.store()?, aws.clock(), settings.registry.clone());
    let Some(url) = settings.queues.get(&QueueName::Registry) else { return Some(registry) };
    let queue = Queue::at(aws.sqs.clone(), url, rng.clone());
    let waiting = move || {
        let queue = queue.clone();
        async move {
            let depth = queue.depth().await;
            let depth = depth.inspect_err(|error| {
                tracing::debug!(
                    queue = queue.name(),
                    error = chain(error),
                    "The number of events is not known"
                );
            });
            depth.ok().map(|Depth { visible, in_flight, delayed }| visible + in_flight + delayed)
        }
        .boxed()
    };
    Some(registry.with_waiting(Arc::new(waiting)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, Sources, table};

    /// A notifier whose settings have these queues.
    fn with(queues: &[QueueName]) -> Notifier {
        let variable =
            |name: &QueueName| (table::queue(*name).variable(), format!("http://127.0.0.1/1/{name}"));
        let registry = [("NOTIFIER_REGISTRY_CLUSTERS", "*"), ("NOTIFIER_LEDGER", "dynamodb:table")];
        let registry = registry.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = queues.iter().map(variable).chain(registry).collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (settings, _) = Settings::load(sources).unwrap();
        Notifier::new(settings, Aws::at("http://127.0.0.1:1", "us-east-1"), Parts::default())
    }

    fn queues_of(stage: StageName, notifier: &Notifier) -> Result<String, String> {
        let work = notifier.stage(stage).map_err(|error| error.to_string())?;
        Ok(format!("{stage} {} {}", work.source.name(), work.next.as_ref().map_or("-", Queue::name)))
    }

    #[tokio::test]
    async fn each_stage_reads_its_queue_and_writes_the_next() {
        let notifier = with(&QueueName::ALL);
        let queues = StageName::ALL.map(|stage| queues_of(stage, &notifier).unwrap());
        let expected = [
            "services observer services",
            "tasks services tasks",
            "notify tasks -",
            "registry registry services",
        ];
        assert_eq!(queues, expected);
    }

    #[tokio::test]
    async fn a_missing_queue_is_named_with_the_stage_that_needs_it() {
        let (inner, services) =
            (with(&[QueueName::Services, QueueName::Tasks]), with(&[QueueName::Services]));
        let error = inner.run(Health::default(), CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "stage services needs the observer queue");
        for stage in [StageName::Tasks, StageName::Notify] {
            assert!(queues_of(stage, &inner).is_ok());
            assert_eq!(queues_of(stage, &services), Err(format!("stage {stage} needs the tasks queue")));
        }
    }
}
