//! A fleet with queues, and a notifier in one of its forms.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use notifier::aws::Aws;
use notifier::base::Environment;
use notifier::daemon::Health;
use notifier::ledger::{self, Recorded};
use notifier::model::Progress;
use notifier::pipeline::send::SendError;
use notifier::pipeline::{Routing, STAGES, Senders, StageName};
use notifier::queue::Trace;
use notifier::secrets::Vault;
use notifier::settings::{Flags, Settings, Sources};
use notifier::store::Use;
use notifier::telemetry::Metrics;
use notifier::{Notifier, Parts};
use simulator::Simulator;
use tempfile::TempDir;
use testkit::{fleets, functions};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, BroadcastId, Draft, ObserverMessage};

/// Longest wait for something that happens within seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(180);
/// How the notifier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Send,
    Daemon,
    Functions,
}

/// A fleet with queues, and a notifier with a ledger in a file.
pub(crate) struct Setup {
    pub(crate) form: Form,
    pub(crate) sim: Simulator,
    pub(crate) notifier: Notifier,
    pub(crate) stop: CancellationToken,
    sqs: Client,
    /// Counts what all stages do.
    pub(crate) metrics: Metrics,
    _directory: TempDir,
}

pub(crate) fn fleet(services: &[(&str, &str, &str)]) -> String {
    let service = |(name, path, container): &(&str, &str, &str)| fleets::service(name, 2, path, container);
    let mut services: Vec<String> = services.iter().map(service).collect();
    services.push(
        "[[cluster.service]]\nname = 'other'\nlaunch_type = 'FARGATE'\n\
         [[cluster.service.container]]\nname = 'app'\nports = [8080]\n"
            .to_owned(),
    );
    fleets::fleet(&services)
}

impl Setup {
    pub(crate) async fn new(form: Form, services: &[(&str, &str, &str)]) -> Self {
        Self::of(form, &fleet(services), &[]).await
    }

    /// The same with this fleet, and with these further settings.
    pub(crate) async fn of(form: Form, fleet: &str, settings: &[(&str, &str)]) -> Self {
        let sim = fleets::start(fleet, fleets::stage_queues(5, &[])).await;
        Self::on(form, sim, settings).await
    }

    /// The same on this simulator.
    pub(crate) async fn on(form: Form, sim: Simulator, settings: &[(&str, &str)]) -> Self {
        let (url, directory) = (sim.url(), TempDir::new().unwrap());
        let queue = |name: &str| format!("{url}/111122223333/{name}");
        let further = settings.iter().map(|&(name, value)| (name, value.to_owned()));
        let environment: Environment = [
            ("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
            ("NOTIFIER_LEDGER", format!("sqlite:{}", directory.path().join("ledger.db").display())),
            ("NOTIFIER_OBSERVER_QUEUE_URL", queue("observer")),
            ("NOTIFIER_SERVICES_QUEUE_URL", queue("services")),
            ("NOTIFIER_TASKS_QUEUE_URL", queue("tasks")),
            ("NOTIFIER_HORIZON_MINUTES", "0".to_owned()),
        ]
        .into_iter()
        .chain(further)
        .collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (settings, _) = Settings::load(sources).unwrap();
        let aws = Aws { roles: settings.roles.clone(), ..Aws::at(&url, "us-east-1") };
        // Of its own, because the calls of Lambda are not the functions' calls.
        let sqs = Aws::at(&url, "us-east-1").sqs;
        let ledger = ledger::open(&settings.ledger, &aws, Use::Call).await.unwrap();
        let stop = CancellationToken::new();
        let senders = Senders::new([simulator::user_id("simulator")]);
        let vault = Vault::new(environment.clone(), None);
        let routes = Routing::load(settings.routes.as_ref(), SOON, &vault).await.unwrap();
        let metrics = Metrics::new(lambdas::metrics::tally());
        let progress = metrics.of(Progress::default());
        let parts = Parts { ledger, routes, senders, progress, stop: stop.clone(), ..Parts::default() };
        Self {
            form,
            sim,
            notifier: Notifier::new(settings, aws, parts),
            stop,
            sqs,
            metrics,
            _directory: directory,
        }
    }

    /// Makes the broadcast `b-1` to this scope, and waits until it has ended.
    pub(crate) async fn broadcast(&self, scope: ObserverMessage) -> Recorded {
        match self.form {
            Form::Send => {
                let report = self.send(&scope).await.unwrap();
                let recorded = self.recorded().await.unwrap();
                // As scripts read it: a record keeps times to the microsecond.
                let [returned, kept] =
                    [&report, &recorded.report].map(|report| serde_json::to_value(report.lines()).unwrap());
                assert_eq!(returned, kept);
            }
            Form::Daemon | Form::Functions => {
                self.publish(scope).await;
                self.work_until(async || self.has_ended().await).await;
            }
        }
        self.recorded().await.unwrap()
    }

    pub(crate) async fn send(&self, scope: &ObserverMessage) -> Result<notifier::report::Report, SendError> {
        self.notifier.send(scope, &broadcast()).await
    }

    /// Publishes the event for this scope.
    pub(crate) async fn publish(&self, mut scope: ObserverMessage) {
        scope.event = Some(Draft::from(broadcast().event));
        self.publish_bodies(&[wire::Message::to_body(&scope).unwrap()]).await;
    }

    /// Puts these messages on the observer queue.
    pub(crate) async fn publish_bodies(&self, bodies: &[String]) {
        let observer = self.notifier.stage(StageName::Services).unwrap().source;
        observer.publish(bodies, &Trace::default()).await.unwrap();
    }

    /// Lets the stages work on the queues until `is_done`.
    pub(crate) async fn work_until(&self, is_done: impl AsyncFn() -> bool) {
        let shutdown = CancellationToken::new();
        let running = (self.form == Form::Daemon).then(|| {
            let (notifier, stop) = (self.notifier.clone(), shutdown.clone());
            tokio::spawn(async move { notifier.run(Health::default(), stop).await })
        });
        let until = Instant::now() + SOON;
        while !is_done().await {
            assert!(Instant::now() < until, "{:#?}", self.recorded().await);
            if self.form == Form::Functions {
                functions::invoke_each(&self.notifier, &self.sqs).await;
            }
            sleep(Duration::from_millis(20)).await;
        }
        shutdown.cancel();
        if let Some(running) = running {
            timeout(SOON, running).await.unwrap().unwrap().unwrap();
        }
    }

    pub(crate) async fn recorded(&self) -> Option<Recorded> {
        self.notifier.ctx().ledger.read(&id()).await.unwrap()
    }

    pub(crate) async fn has_ended(&self) -> bool {
        self.recorded().await.is_some_and(|recorded| recorded.is_complete)
    }

    /// Messages on the queues of the stages.
    pub(crate) async fn depth(&self) -> u64 {
        let mut messages = 0;
        for stage in STAGES.iter().filter(|stage| !stage.is_optional) {
            let depth = self.notifier.stage(stage.name).unwrap().source.depth().await.unwrap();
            messages += depth.visible + depth.in_flight + depth.delayed;
        }
        messages
    }

    /// How many requests the tasks of each service received.
    pub(crate) fn received(&self) -> BTreeMap<String, usize> {
        let services: BTreeMap<_, _> =
            self.sim.tasks().into_iter().map(|task| (task.arn.clone(), task.service.clone())).collect();
        let mut received = BTreeMap::new();
        for call in self.sim.received() {
            *received.entry(services[&call.task].clone().unwrap_or_default()).or_default() += 1;
        }
        received
    }
}

pub(crate) fn id() -> BroadcastId {
    BroadcastId::try_from("b-1".to_owned()).unwrap()
}

pub(crate) fn scope() -> ObserverMessage {
    ObserverMessage::new("prod")
}

pub(crate) fn broadcast() -> Broadcast {
    let event = Draft::default().complete(&id(), std::time::SystemTime::UNIX_EPOCH).unwrap();
    Broadcast::new(event)
}
