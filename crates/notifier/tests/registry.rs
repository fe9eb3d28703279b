//! The registry over the wire: events of the simulator's ECS on a queue, the daemon, and rows in a ledger's table.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use notifier::aws::Aws;
use notifier::base::{Clock, Environment};
use notifier::daemon::Health;
use notifier::fleet::registry::{Freshness, Registry, RegistryRequest};
use notifier::pipeline::{QueueName, StageName};
use notifier::queue::{Message, Trace};
use notifier::settings::{Flags, Settings, Sources, table};
use notifier::{Notifier, Parts, ledger, store};
use simulator::faults::{Fault, TASK_EVENT, When};
use simulator::fleet::EventTarget;
use simulator::{Options, QueueSpec, Simulator};
use tempfile::TempDir;
use testkit::fleets::{fleet, service, stage_queues, start_with};
use testkit::sqs::{SOON, Sqs};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::ObserverMessage;

const CLUSTER: &str = "arn:aws:ecs:us-east-1:111122223333:cluster/prod";

/// The sweep of all clusters, as a schedule requests it.
fn sweep(cluster: &str) -> String {
    RegistryRequest::Sweep(vec![cluster.to_owned()]).to_body()
}

/// A fleet with its queues, and a ledger in a file.
struct Setup {
    sqs: Sqs,
    directory: TempDir,
}

impl Setup {
    async fn new(services: &[String]) -> Self {
        let name = QueueName::Registry.as_str();
        let mut queues = stage_queues(5, &[]);
        let policy = serde_json::json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:111122223333:{name}-dead"), "maxReceiveCount": 5,
        });
        let attributes = [("RedrivePolicy".to_owned(), policy.to_string())].into_iter().collect();
        queues.push(QueueSpec { name: format!("{name}-dead"), ..QueueSpec::default() });
        queues.push(QueueSpec { name: name.to_owned(), attributes });
        let events = Some(EventTarget { queue: name.to_owned(), all: false });
        let options = Options { queues, events, ..Options::default() };
        let sim = start_with(&fleet(services), options).await;
        Self { sqs: Sqs::of(sim), directory: TempDir::new().unwrap() }
    }

    fn sim(&self) -> &Simulator {
        self.sqs.simulator()
    }

    /// A notifier of these registered clusters, as a process of its own has it.
    async fn notifier(&self, clusters: &str, interval: Option<Duration>) -> Notifier {
        let url = |name: QueueName| format!("{}/111122223333/{name}", self.sim().url());
        let queues = QueueName::ALL.map(|name| (table::queue(name).variable(), url(name)));
        let ledger = format!("sqlite:{}", self.directory.path().join("ledger.db").display());
        let others = [
            ("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8"),
            ("NOTIFIER_REGISTRY_CLUSTERS", clusters),
            ("NOTIFIER_LEDGER", &ledger),
        ];
        let others = others.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment: Environment = queues.into_iter().chain(others).collect();
        let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
        let (mut settings, _) = Settings::load(sources).unwrap();
        if let Some(interval) = interval {
            settings.registry.sweep = interval;
        }
        let aws = Aws::at(&self.sim().url(), "us-east-1");
        let ledger = ledger::open(&settings.ledger, &aws, store::Use::Call).await.unwrap();
        Notifier::new(settings, aws, Parts { ledger, ..Parts::default() })
    }

    /// The addresses of the running tasks, by ARN, as ECS has them.
    fn truth(&self) -> BTreeMap<String, BTreeSet<String>> {
        let running =
            self.sim().tasks().into_iter().filter(|task| {
                format!("{:?} {:?}", task.last_status, task.desired_status) == "Running Running"
            });
        let addresses = |task: &simulator::TaskView| {
            task.endpoints.iter().map(|endpoint| endpoint.address.ip().to_string()).collect()
        };
        running.map(|task| (task.arn.clone(), addresses(&task))).collect()
    }

    /// Runs the daemon until the registry is live and equals the truth.
    async fn until_equal(&self, registry: &Registry, what: &str) {
        let until = Instant::now() + SOON;
        loop {
            let (freshness, rows) = (registry.freshness(CLUSTER).await, rows(registry).await);
            if matches!(freshness, Freshness::Live { .. }) && rows == self.truth() {
                return;
            }
            assert!(Instant::now() < until, "{what}: {freshness:?} {rows:#?} {:#?}", self.truth());
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn dead_letters(&self) -> Vec<(String, String)> {
        let queue = notifier::queue::Queue::at(
            self.sqs.client.clone(),
            format!("{}/111122223333/registry-dead", self.sim().url()),
            notifier::base::Rng::seeded(1),
        );
        let text = |message: &aws_sdk_sqs::types::Message, name: &str| {
            message.message_attributes.as_ref().unwrap()[name].string_value.clone().unwrap()
        };
        let letters = self.sqs.drain(&queue).await;
        letters.iter().map(|letter| (text(letter, "code"), text(letter, "reason"))).collect()
    }
}

async fn rows(registry: &Registry) -> BTreeMap<String, BTreeSet<String>> {
    let rows = registry.rows(CLUSTER).try_concat().await.unwrap();
    let addresses = |task: &notifier::model::TaskState| {
        let interfaces = task.containers.iter().flat_map(|container| &container.interfaces);
        interfaces.filter_map(|interface| interface.v4).map(|ip| ip.to_string()).collect()
    };
    rows.iter().map(|row| (row.task().arn, addresses(row.state()))).collect()
}

fn registry(notifier: &Notifier) -> Registry {
    notifier.ctx().registry.clone().unwrap()
}

fn message(body: String) -> Message {
    Message::new("m".to_owned(), body, Clock::system().now())
}

#[tokio::test]
async fn the_daemon_keeps_the_registry_equal_to_the_fleet_whatever_happens_to_events() {
    let setup = Setup::new(&[service("web", 4, "/notify", ""), service("api", 2, "/notify", "")]).await;
    let notifier = setup.notifier("prod", None).await;
    let registry = registry(&notifier);
    assert!(!matches!(registry.freshness(CLUSTER).await, Freshness::Live { .. }));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (notifier, shutdown) = (notifier.clone(), shutdown.clone());
        async move { notifier.run(Health::default(), shutdown).await }
    });
    setup.until_equal(&registry, "the first sweep").await;
    assert_eq!(registry.cluster_arn("prod").await.unwrap().as_deref(), Some(CLUSTER));
    let (lists, describes) = (setup.sim().count("ListTasks"), setup.sim().count("DescribeTasks"));
    for (when, fault) in [
        (When::Every(2), Fault::DoubleEvent),
        (When::Every(3), Fault::SwapEvent),
        (When::Always, Fault::LateRunning),
        (When::Every(2), Fault::FloatVersion),
    ] {
        setup.sim().faults().order(TASK_EVENT, when, fault);
    }
    let first = setup.sim().tasks().remove(0).arn;
    for _ in 0..3 {
        setup.sim().start_task("prod", "web").await.unwrap();
        setup.sim().start_task("prod", "api").await.unwrap();
    }
    setup.sim().stop_task(&first).await.unwrap();
    setup.until_equal(&registry, "events").await;
    assert_eq!(setup.truth().len(), 11);
    let asked = (setup.sim().count("ListTasks"), setup.sim().count("DescribeTasks"));
    assert_eq!(asked, (lists, describes), "events need no call");

    // An event that is lost is found by a sweep, and its task by a look.
    setup.sim().faults().order(TASK_EVENT, When::Always, Fault::LoseEvent);
    let lost = setup.sim().start_task("prod", "web").await.unwrap();
    let second = setup.sim().tasks().into_iter().find(|task| task.arn != lost).unwrap().arn;
    setup.sim().stop_task(&second).await.unwrap();
    assert_ne!(rows(&registry).await, setup.truth());
    let other = setup.notifier("prod", Some(Duration::from_millis(2))).await;
    let until = Instant::now() + SOON;
    let work = other.stage(StageName::Registry).unwrap();
    work.run(&message(sweep("prod")), until).await.unwrap();
    let found = async || rows(&registry).await.contains_key(&lost);
    while !found().await {
        assert!(Instant::now() < until, "the look at the late task did not happen");
        sleep(Duration::from_millis(20)).await;
    }
    // The stopped task was seen less than a minute before, so an answer of ECS is not asked for yet.
    shutdown.cancel();
    let served = timeout(SOON, running).await.unwrap().unwrap().unwrap();
    assert_eq!((served.dead_lettered, served.retried), (0, 0));
    assert!(setup.dead_letters().await.is_empty());
}

#[tokio::test]
async fn the_first_broadcast_by_the_registry_makes_no_call() {
    let bridge = service("bridge", 2, "/notify", "").replace("FARGATE", "EC2");
    let hosts = "[[cluster.hosts]]\n".to_owned();
    let setup = Setup::new(&[hosts, service("web", 3, "/notify", ""), bridge]).await;
    let notifier = setup.notifier("prod", None).await;
    let registry = registry(&notifier);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (notifier, shutdown) = (notifier.clone(), shutdown.clone());
        async move { notifier.run(Health::default(), shutdown).await }
    });
    let counts = |operations: [&str; 3]| operations.map(|name| setup.sim().count(name));
    let learned = || counts(["DescribeTaskDefinition", "DescribeContainerInstances", "DescribeInstances"]);
    let found = || counts(["ListTasks", "DescribeTasks", "DescribeServices"]);
    let until_known = async |tasks: usize| {
        let until = Instant::now() + SOON;
        while learned() != [2, 1, 1] || rows(&registry).await.len() != tasks {
            assert!(Instant::now() < until, "{:?} {:?}", learned(), rows(&registry).await);
            sleep(Duration::from_millis(20)).await;
        }
    };
    until_known(5).await;
    setup.sim().start_task("prod", "bridge").await.unwrap();
    until_known(6).await;
    let before = found();
    let other = setup.notifier("prod", None).await;
    let fleet = other.ctx().discovery.fleet(&ObserverMessage::new("prod")).await.unwrap();
    assert_eq!((fleet.endpoints.len(), fleet.skips.len()), (6, 0));
    assert_eq!((found(), learned()), (before, [2, 1, 1]), "a process that starts later asks nothing");
    shutdown.cancel();
    timeout(SOON, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn of_several_processes_one_sweeps_a_cluster_in_an_interval() {
    let setup = Setup::new(&[service("web", 3, "/notify", "")]).await;
    let processes = [setup.notifier("*", None).await, setup.notifier("prod", None).await];
    let until = Instant::now() + SOON;
    for notifier in processes.iter().cycle().take(6) {
        let work = Arc::new(notifier.stage(StageName::Registry).unwrap());
        work.run(&message(sweep("prod")), until).await.unwrap();
    }
    assert_eq!(setup.sim().count("ListTasks"), 1);
    assert_eq!(rows(&registry(&processes[0])).await, setup.truth());
}

#[tokio::test]
async fn what_cannot_be_kept_is_a_dead_letter_with_its_reason_and_other_clusters_are_ignored() {
    let setup = Setup::new(&[service("web", 1, "/notify", "")]).await;
    let notifier = setup.notifier("prod,missing", None).await;
    let registry = registry(&notifier);
    let shutdown = CancellationToken::new();
    let work = notifier.stage(StageName::Registry).unwrap();
    let other = serde_json::json!({
        "source": "aws.ecs", "detail-type": "ECS Task State Change", "time": "2026-11-24T09:30:00Z",
        "detail": {
            "taskArn": "arn:aws:ecs:us-east-1:111122223333:task/test/1", "version": 4,
            "clusterArn": "arn:aws:ecs:us-east-1:111122223333:cluster/test", "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING", "taskDefinitionArn": "arn:aws:ecs:us-east-1:111122223333:task-definition/t:1",
        },
    });
    // `*` means the clusters of the setting.
    let bodies = [sweep("*"), sweep("test"), "{}".to_owned(), other.to_string()];
    let learn = serde_json::json!({ "registry": { "learn": {
        "cluster": "test", "attempt": u32::MAX,
        "tasks": ["arn:aws:ecs:us-east-1:111122223333:task/test/1"],
    } } });
    let refused = work.run(&message(learn.to_string()), Instant::now() + SOON).await.unwrap_err();
    assert!(format!("{refused:?}").contains("\"not-registered\""), "{refused:?}");
    work.source.publish(&bodies, &Trace::default()).await.unwrap();
    let running = tokio::spawn({
        let (notifier, shutdown) = (notifier.clone(), shutdown.clone());
        async move { notifier.run(Health::default(), shutdown).await }
    });
    setup.until_equal(&registry, "the sweep").await;
    let (mut letters, until) = (Vec::new(), Instant::now() + SOON);
    // The daemon requests a sweep too, so the missing cluster may have two.
    let codes =
        |letters: &[(String, String)]| letters.iter().map(|(code, _)| code.clone()).collect::<BTreeSet<_>>();
    let expected = ["cluster-not-found", "not-registered", "task-event"].map(str::to_owned).into();
    while codes(&letters) != expected {
        assert!(Instant::now() < until, "{letters:#?}");
        letters.extend(setup.dead_letters().await);
        sleep(Duration::from_millis(20)).await;
    }
    for (code, expected) in [
        ("not-registered", "cluster test is not registered: NOTIFIER_REGISTRY_CLUSTERS does not name it"),
        ("cluster-not-found", "there is no cluster `missing` in this account and region"),
        ("task-event", "the body is neither an event of EventBridge nor a request"),
    ] {
        let reasons: Vec<_> =
            letters.iter().filter(|(one, _)| one == code).map(|(_, reason)| reason).collect();
        assert!(reasons.iter().all(|reason| reason.contains(expected)), "{reasons:?}");
    }
    let arns = ["arn:aws:ecs:us-east-1:111122223333:task/test/1".to_owned()];
    let found = registry.rows_of("arn:aws:ecs:us-east-1:111122223333:cluster/test", &arns).await.unwrap();
    assert_eq!(found, [None]);
    shutdown.cancel();
    timeout(SOON, running).await.unwrap().unwrap().unwrap();
}
