//! Tasks that start while a broadcast is open, or while its event is retained; and broadcasts by the registry.

use std::collections::{BTreeMap, BTreeSet};

use notifier::model::{DiscoveryMethod, Outcome};
use notifier::queue::{Queue, Trace};
use notifier::store::Range;
use simulator::faults::{Fault, TASK_EVENT, When};
use simulator::fleet::{EventTarget, HealthStatus};
use simulator::{Options, QueueSpec};
use testkit::fleets;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::Retain;

use super::setup::{Form, Setup, fleet, scope};
use super::storm::{daemon, until};

/// How long the broadcasts are open, in seconds.
const COVER_S: u32 = 3;

/// The requests that each task received, by its ARN.
fn received(setup: &Setup) -> BTreeMap<String, usize> {
    let mut received = BTreeMap::new();
    for call in setup.sim.received() {
        *received.entry(call.task.clone()).or_default() += 1;
    }
    received
}

async fn start(setup: &Setup, service: &str) -> String {
    setup.sim.start_task("prod", service).await.unwrap()
}

/// A task that starts while the broadcast is open hears it once, and the report says that it was late.
pub(crate) async fn a_task_that_starts_while_a_broadcast_is_open_hears_it(form: Form) {
    let setup = Setup::new(form, &[("accepts", "/n", "")]).await;
    let mut scope = scope();
    scope.cover = Some(COVER_S);
    let late = match form {
        Form::Send => {
            let starting = async {
                while setup.sim.received().len() < 2 {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                start(&setup, "accepts").await
            };
            let (report, late) = tokio::join!(setup.send(&scope), starting);
            assert_eq!(report.unwrap().late(), 1);
            late
        }
        Form::Daemon | Form::Functions => {
            setup.publish(scope).await;
            setup.work_until(async || setup.sim.received().len() == 2).await;
            assert!(!setup.has_ended().await, "it is open");
            let late = start(&setup, "accepts").await;
            setup.work_until(async || setup.has_ended().await).await;
            late
        }
    };
    let received = received(&setup);
    assert_eq!(received.values().copied().collect::<Vec<_>>(), [1, 1, 1], "{received:?}");
    let recorded = setup.recorded().await.unwrap();
    assert!(recorded.is_complete);
    let found: Vec<_> = recorded.report.entries().iter().filter(|entry| entry.late).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].member.task.as_str(), found[0].outcome), (late.as_str(), Some(Outcome::Delivered)));
    assert_eq!(recorded.report.summary().late, 1);
}

/// A setup whose tasks report their starts and ends to the registry.
async fn registered(form: Form, services: &[(&str, &str, &str)]) -> Setup {
    // A message of a daemon that has ended comes back soon.
    let visibility = [("VisibilityTimeout", "5")];
    let mut queues = fleets::stage_queues(15, &visibility);
    let attributes = visibility.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    queues.push(QueueSpec { name: "registry".to_owned(), attributes });
    let events = Some(EventTarget { queue: "registry".to_owned(), all: false });
    let sim = fleets::start_with(&fleet(services), Options { queues, events, ..Options::default() }).await;
    let url = format!("{}/111122223333/registry", sim.url());
    let settings = [("NOTIFIER_REGISTRY_QUEUE_URL", url.as_str()), ("NOTIFIER_REGISTRY_CLUSTERS", "prod")];
    let setup = Setup::on(form, sim, &settings).await;
    let queue = Queue::at(
        notifier::aws::Aws::at(&setup.sim.url(), "us-east-1").sqs,
        url,
        notifier::base::Rng::seeded(1),
    );
    queue.publish_one(r#"{"registry":{"sweep":["prod"]}}"#, &Trace::default()).await.unwrap();
    let registry = setup.notifier.ctx().registry.clone().unwrap();
    setup.work_until(async || !registry.clusters().await.unwrap().is_empty()).await;
    setup
}

/// With a live registry, a broadcast makes no call to ECS and EC2 once the task definitions are known.
pub(crate) async fn a_live_registry_needs_no_call_to_ecs(form: Form) {
    let setup =
        registered(form, &[("accepts", "/n", ""), ("refuses", "/n", "answers = [{ status = 403 }]")]).await;
    // A task that has started and one that has stopped since the sweep: their events are processed.
    let stopped =
        setup.sim.tasks().iter().find(|task| task.service.as_deref() == Some("accepts")).unwrap().arn.clone();
    setup.sim.stop_task(&stopped).await.unwrap();
    let started = start(&setup, "accepts").await;
    let rows = async || {
        let registry = setup.notifier.ctx().registry.clone().unwrap();
        let arn = registry.cluster_arn("prod").await.unwrap().unwrap();
        registry.rows_of(&arn, &[stopped.clone(), started.clone()]).await.unwrap()
    };
    setup
        .work_until(async || {
            let rows = rows().await;
            matches!(rows.as_slice(), [Some(old), Some(new)] if !old.is_running() && new.is_running())
        })
        .await;
    setup.notifier.ctx().discovery.fleet(&scope()).await.unwrap();
    setup.sim.reset_calls();
    let recorded = setup.broadcast(scope()).await;
    let found = recorded.report.found().unwrap();
    assert_eq!(found.method, DiscoveryMethod::Registry);
    assert!(found.age_ms.is_some_and(|age| age < 60_000), "{found:?}");
    let counts = recorded.report.counts();
    assert_eq!((counts.delivered, counts.rejected, counts.total()), (2, 2, 4));
    let received = received(&setup);
    assert!(received.contains_key(&started) && !received.contains_key(&stopped));
    let asked: Vec<String> = setup.sim.calls().into_iter().map(|call| call.operation).collect();
    // `DescribeClusters` is the daemon's: at its start it asks whether the cluster is due to be swept.
    let ecs = ["ListTasks", "DescribeTasks", "ListServices", "DescribeServices", "DescribeTaskDefinition"];
    assert!(!asked.iter().any(|operation| ecs.contains(&operation.as_str())), "{asked:?}");
}

/// Containers whose health counts are looked up in ECS: the registry does not know it.
pub(crate) async fn the_health_of_a_registered_task_is_looked_up(form: Form) {
    let setup = registered(form, &[("accepts", "/n", "health_check = true")]).await;
    let sick =
        setup.sim.tasks().iter().find(|task| task.service.as_deref() == Some("accepts")).unwrap().arn.clone();
    setup.sim.set_health(&sick, HealthStatus::Unhealthy).unwrap();
    let recorded = setup.broadcast(scope()).await;
    assert_eq!(recorded.report.found().unwrap().method, DiscoveryMethod::Registry);
    let counts = recorded.report.counts();
    assert_eq!((counts.delivered, counts.skipped), (1, 1));
    assert!(!received(&setup).contains_key(&sick));
}

/// A registry that is behind is not used.
pub(crate) async fn a_registry_that_is_not_live_is_not_used(form: Form) {
    let setup = registered(form, &[("accepts", "/n", "")]).await;
    setup.sim.faults().order(TASK_EVENT, When::Always, Fault::LoseEvent);
    let started = start(&setup, "accepts").await;
    // The last sweep was long ago.
    let store = setup.notifier.ctx().ledger.store().unwrap();
    let range =
        Range { partition: "registry#state".to_owned(), prefix: "cluster#".to_owned(), backwards: false };
    let mut swept = store.list(range, None).await.unwrap().items;
    for item in &mut swept {
        let mut body: serde_json::Value = serde_json::from_str(&item.body).unwrap();
        body["swept_at"] = "0000000000000001".into();
        item.body = body.to_string();
    }
    assert_eq!(swept.len(), 1);
    store.put(swept).await.unwrap();
    let recorded = setup.broadcast(scope()).await;
    assert_eq!(recorded.report.found().unwrap().method, DiscoveryMethod::Services);
    assert_eq!(recorded.report.counts().delivered, 3);
    assert!(received(&setup).contains_key(&started), "its event was lost");
}

/// A retained event is heard once by each task that starts later, until it is cleared.
pub(crate) async fn a_retained_event_is_heard_by_each_task_that_starts_later_until_it_is_cleared(form: Form) {
    let setup = registered(form, &[("accepts", "/n", ""), ("outside", "/n", "")]).await;
    let mut scope = scope();
    scope.retain = Some(Retain::new("config", 600));
    scope.services = vec!["accepts".to_owned()];
    setup.broadcast(scope).await;
    assert_eq!(received(&setup).len(), 2);
    // Each event arrives twice.
    setup.sim.faults().order(TASK_EVENT, When::Always, Fault::DoubleEvent);
    let late = [start(&setup, "accepts").await, start(&setup, "accepts").await];
    let other = start(&setup, "outside").await;
    setup.work_until(async || received(&setup).len() == 4).await;
    setup.work_until(async || setup.recorded().await.unwrap().report.counts().delivered == 4).await;
    let heard = received(&setup);
    assert!(late.iter().all(|task| heard.contains_key(task)) && !heard.contains_key(&other));
    let recorded = setup.recorded().await.unwrap();
    assert_eq!(recorded.report.summary().late, 2);
    // A repeat is recognisable: one delivery has one id.
    let mut ids = BTreeMap::<String, String>::new();
    for call in setup.sim.received() {
        let id = call.header("webhook-id").unwrap().to_owned();
        assert_eq!(ids.entry(call.task.clone()).or_insert_with(|| id.clone()), &id);
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        let until = OffsetDateTime::parse(body["expirytime"].as_str().unwrap(), &Rfc3339).unwrap();
        assert!(until > OffsetDateTime::now_utc());
    }
    let ledger = &setup.notifier.ctx().ledger;
    let [retained] = <[_; 1]>::try_from(ledger.standing(None).await.unwrap()).unwrap();
    assert_eq!(retained.key.as_deref(), Some("config"));
    ledger.clear(&retained).await.unwrap();
    assert_eq!(ledger.standing(None).await.unwrap(), []);
    let later = start(&setup, "accepts").await;
    let registry = setup.notifier.ctx().registry.clone().unwrap();
    let arn = registry.cluster_arn("prod").await.unwrap().unwrap();
    setup
        .work_until(async || registry.rows_of(&arn, std::slice::from_ref(&later)).await.unwrap()[0].is_some())
        .await;
    assert!(!received(&setup).contains_key(&later));
}

/// Tasks that start in each of three phases: during the broadcast, while no daemon runs, and after the broadcast has ended.
const LATE_IN_PHASE: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_hundreds_of_late_tasks_hears_once_also_with_a_crash_in_between() {
    let setup = registered(Form::Daemon, &[("accepts", "/n", "")]).await;
    setup.sim.faults().order(TASK_EVENT, When::Chance { per_mille: 100, seed: 7 }, Fault::DoubleEvent);
    setup.sim.faults().order(TASK_EVENT, When::Chance { per_mille: 100, seed: 8 }, Fault::SwapEvent);
    let mut scope = scope();
    (scope.cover, scope.retain) = (Some(10), Some(Retain::new("config", 600)));
    setup.publish(scope).await;
    let first = daemon(&setup);
    until("the broadcast has not begun", || setup.sim.received().len() >= 2).await;
    for _ in 0..LATE_IN_PHASE {
        start(&setup, "accepts").await;
    }
    first.abort();
    for _ in 0..LATE_IN_PHASE {
        start(&setup, "accepts").await;
    }
    let second = daemon(&setup);
    until("tasks of the first two phases are missed", || received(&setup).len() == 2 + 2 * LATE_IN_PHASE)
        .await;
    while !setup.has_ended().await {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    for _ in 0..LATE_IN_PHASE {
        start(&setup, "accepts").await;
    }
    let all = 2 + 3 * LATE_IN_PHASE;
    until("tasks of the last phase are missed", || received(&setup).len() == all).await;
    while setup.recorded().await.unwrap().report.counts().delivered < all {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    second.abort();
    // Whoever was called twice recognises the repeat.
    let mut deliveries = BTreeMap::<String, BTreeSet<String>>::new();
    for call in setup.sim.received() {
        deliveries
            .entry(call.task.clone())
            .or_default()
            .insert(call.header("webhook-id").unwrap().to_owned());
    }
    assert!(deliveries.len() == all && deliveries.values().all(|ids| ids.len() == 1));
    let repeats = setup.sim.received().len() - all;
    assert!(
        repeats * 4 < all,
        "{repeats} repeats: more than a crash and one event in ten that is doubled explain"
    );
    let recorded = setup.recorded().await.unwrap();
    assert_eq!((recorded.report.counts().total(), recorded.report.late()), (all, 3 * LATE_IN_PHASE));
}
