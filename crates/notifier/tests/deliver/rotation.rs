//! Keys that rotate while a broadcast runs: at the notifier in MiniStack's Secrets Manager, at the tasks on their own.
//!
//! Every task is a receiver as services use it. All requests wait at one gate before they reach a receiver, so a test
//! says how many get through between two steps, and what is on the way meanwhile was signed before.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use notifier::aws::Aws;
use notifier::base::Environment;
use notifier::deliver::{Auth, AuthSettings, Deliverer, DeliveryOptions, Signing};
use notifier::model::Endpoint;
use notifier::model::Progress;
use notifier::model::{Delivery, Outcome};
use notifier::secrets::{SecretRef, Vault};
use receiver::{Identity, Notification, Receiver, on_event};
use testkit::boto::{Boto, ministack};
use testkit::emulator::Emulator;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tower_layer::Layer;
use tower_service::Service;
use wire::signature::VerifyingKeys;

use crate::signed::{NEW, OLD};
use crate::support::{NOW, broadcast, deliver_all, deliverer, endpoint, patient};

const TASKS: usize = 300;
/// Attempts under way at the same time, and so at the gate.
const CONCURRENCY: usize = 16;
/// How old a key of the notifier's may be.
const REFRESH: Duration = Duration::from_millis(50);
/// Longest wait for something that happens within seconds, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Where the keys of the notifier are.
const SECRET: &str = "prod/notifier";

/// What came to the tasks: how many signatures each request had, and how those were answered that got through the gate.
#[derive(Default)]
struct Calls {
    arrived: Mutex<Vec<usize>>,
    answered: Mutex<Vec<(usize, StatusCode)>>,
}

impl Calls {
    fn arrived(&self, is_one: impl Fn(usize) -> bool) -> usize {
        self.arrived.lock().unwrap().iter().filter(|&&signatures| is_one(signatures)).count()
    }

    fn answered(&self, is_one: impl Fn(usize) -> bool) -> usize {
        self.answered.lock().unwrap().iter().filter(|(signatures, _)| is_one(*signatures)).count()
    }

    fn refused(&self) -> usize {
        self.answered.lock().unwrap().iter().filter(|(_, status)| !status.is_success()).count()
    }

    /// Whether every attempt that may be under way waits at the gate.
    fn are_all_at_the_gate(&self) -> bool {
        self.arrived(any) == self.answered(any) + CONCURRENCY
    }
}

fn any(_: usize) -> bool {
    true
}

fn alone(signatures: usize) -> bool {
    signatures == 1
}

fn by_both(signatures: usize) -> bool {
    signatures == 2
}

/// Tasks that verify, and a notifier that signs.
struct Fleet {
    receivers: Vec<Receiver>,
    endpoints: Vec<Endpoint>,
    gate: Arc<Semaphore>,
    calls: Arc<Calls>,
    /// How often each task handled an event.
    handled: Arc<Mutex<BTreeMap<String, usize>>>,
    deliverer: Deliverer,
    boto: Boto,
    _emulator: Emulator,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// Tasks that know the old key, and a notifier that signs by it.
    async fn new() -> Self {
        let emulator = ministack(false).await;
        let mut boto = Boto::start(&emulator.url);
        boto.secret(SECRET, OLD).await;
        let aws = Aws::at(&emulator.url, "us-east-1");
        let signing = Signing::By(vec![SecretRef::SecretsManager(SECRET.to_owned())]);
        let options = AuthSettings { signing, refresh: REFRESH, ..AuthSettings::default() };
        let vault = Vault::new(Environment::default(), Some(aws.secrets));
        let trust = Auth::load(&options, &vault).await.unwrap();
        let deliverer =
            deliverer(&DeliveryOptions { concurrency: CONCURRENCY, ..patient() }).with_auth(trust);
        let mut fleet = Self {
            receivers: Vec::new(),
            endpoints: Vec::new(),
            gate: Arc::new(Semaphore::new(0)),
            calls: Arc::default(),
            handled: Arc::default(),
            deliverer,
            boto,
            _emulator: emulator,
            tasks: JoinSet::new(),
        };
        for _ in 0..TASKS {
            fleet.add_task().await;
        }
        fleet
    }

    async fn add_task(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = endpoint(listener.local_addr().unwrap());
        let keys = VerifyingKeys::parse(OLD).unwrap();
        let receiver = Receiver::builder(keys, Identity::task(&endpoint.member.task))
            .clock(|| std::time::UNIX_EPOCH + Duration::from_secs(NOW))
            .build();
        let handled = Arc::clone(&self.handled);
        let handle = move |notification: Notification| {
            let task = notification.audience().task.clone();
            *handled.lock().unwrap().entry(task).or_default() += 1;
            std::future::ready(Ok::<_, Infallible>(()))
        };
        self.tasks.spawn(serve(
            listener,
            receiver.layer(on_event(handle)),
            Arc::clone(&self.gate),
            Arc::clone(&self.calls),
        ));
        self.receivers.push(receiver);
        self.endpoints.push(endpoint);
    }

    /// From now on the tasks know these keys, and no others.
    fn tasks_know(&self, keys: &str) {
        for receiver in &self.receivers {
            receiver.replace_keys(VerifyingKeys::parse(keys).unwrap());
        }
    }

    async fn notifier_gets(&mut self, key: &str) {
        self.boto.rotate(SECRET, key).await;
    }

    fn notify(&self, endpoints: Vec<Endpoint>) -> JoinHandle<Vec<Delivery>> {
        let deliverer = self.deliverer.clone();
        tokio::spawn(
            async move { deliver_all(&deliverer, &broadcast(), endpoints, &Progress::default()).await },
        )
    }

    fn notify_all(&self) -> JoinHandle<Vec<Delivery>> {
        self.notify(self.endpoints.clone())
    }

    /// Lets this number of requests through, and waits for their answers.
    async fn let_through(&self, count: usize) {
        let expected = self.calls.answered(any) + count;
        self.gate.add_permits(count);
        self.until(|| self.calls.answered(any) >= expected).await;
    }

    /// Lets requests through until the notifier has read its new key and all that it signed before is answered.
    async fn until_all_are_signed_by_both(&self) {
        loop {
            self.until(|| self.calls.are_all_at_the_gate()).await;
            if self.calls.arrived(by_both) > 0 && self.calls.arrived(alone) == self.calls.answered(alone) {
                return;
            }
            self.let_through(1).await;
        }
    }

    fn open_the_gate(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        let come_to_that = async {
            while !condition() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(timeout(SOON, come_to_that).await.is_ok(), "{} calls", self.calls.answered(any));
    }

    fn each_task_handled_it_once(&self) {
        let handled = self.handled.lock().unwrap();
        assert_eq!(handled.len(), TASKS);
        assert!(handled.values().all(|&times| times == 1), "{handled:?}");
    }
}

async fn serve<S, B>(listener: TcpListener, service: S, gate: Arc<Semaphore>, calls: Arc<Calls>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (service, gate, calls) = (service.clone(), Arc::clone(&gate), Arc::clone(&calls));
        let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (mut service, gate, calls) = (service.clone(), Arc::clone(&gate), Arc::clone(&calls));
            async move {
                let signatures = request.headers().get("webhook-signature").unwrap().to_str().unwrap();
                let signatures = signatures.split(' ').count();
                calls.arrived.lock().unwrap().push(signatures);
                gate.acquire().await.unwrap().forget();
                let answer = service.call(request).await?;
                calls.answered.lock().unwrap().push((signatures, answer.status()));
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        connections.spawn(connection.serve_connection(TokioIo::new(stream), answer));
    }
}

fn count(deliveries: &[Delivery], outcome: Outcome) -> usize {
    deliveries.iter().filter(|settled| settled.outcome == Some(outcome)).count()
}

#[tokio::test]
async fn keys_rotate_in_secrets_manager_while_a_broadcast_runs_and_no_call_is_refused() {
    let mut fleet = Fleet::new().await;
    let notifying = fleet.notify_all();
    fleet.let_through(40).await;
    fleet.tasks_know(&format!("{NEW} {OLD}"));
    fleet.let_through(40).await;
    fleet.notifier_gets(NEW).await;
    fleet.until_all_are_signed_by_both().await;
    fleet.tasks_know(NEW);
    fleet.let_through(40).await;
    fleet.open_the_gate();

    let deliveries = notifying.await.unwrap();
    assert_eq!(fleet.calls.refused(), 0);
    assert_eq!((count(&deliveries, Outcome::Delivered), fleet.calls.answered(any)), (TASKS, TASKS));
    fleet.each_task_handled_it_once();
    let (old, both) = (fleet.calls.answered(alone), fleet.calls.answered(by_both));
    assert!(old >= 80 && both >= 40, "{old} signed by the old key alone, {both} by both");
}

#[tokio::test]
async fn the_notifier_may_rotate_first_for_it_still_signs_by_the_key_before() {
    let mut fleet = Fleet::new().await;
    let notifying = fleet.notify_all();
    fleet.let_through(20).await;
    fleet.notifier_gets(NEW).await;
    fleet.until_all_are_signed_by_both().await;
    fleet.let_through(20).await;
    fleet.tasks_know(&format!("{NEW} {OLD}"));
    fleet.let_through(20).await;
    fleet.tasks_know(NEW);
    fleet.open_the_gate();
    assert_eq!(count(&notifying.await.unwrap(), Outcome::Delivered), TASKS);
    assert_eq!(fleet.calls.refused(), 0);
    fleet.each_task_handled_it_once();
}

#[tokio::test]
async fn tasks_that_forget_the_old_key_too_early_refuse_what_is_on_the_way_and_it_is_signed_anew_at_once() {
    let mut fleet = Fleet::new().await;
    let notifying = fleet.notify_all();
    fleet.let_through(40).await;
    // Signed by the old key alone, and on the way.
    fleet.until(|| fleet.calls.are_all_at_the_gate()).await;
    fleet.notifier_gets(NEW).await;
    fleet.tasks_know(NEW);
    sleep(REFRESH).await;
    fleet.open_the_gate();
    assert_eq!(count(&notifying.await.unwrap(), Outcome::Delivered), TASKS);
    assert_eq!(fleet.calls.refused(), CONCURRENCY);
    fleet.each_task_handled_it_once();
}

#[tokio::test]
async fn before_the_notifier_has_the_new_key_tasks_without_the_old_one_refuse_and_lose_nothing() {
    let mut fleet = Fleet::new().await;
    fleet.open_the_gate();
    fleet.tasks_know(NEW);
    let deliveries = fleet.notify_all().await.unwrap();
    assert_eq!(count(&deliveries, Outcome::Rejected), TASKS);
    let settled = &deliveries[0];
    assert_eq!((settled.status, settled.attempts), (Some(401), Some(1)));
    assert!(fleet.handled.lock().unwrap().is_empty());

    // As redrive makes them again, with the ids that they had.
    fleet.notifier_gets(NEW).await;
    sleep(REFRESH).await;
    let deliveries = fleet.notify_all().await.unwrap();
    assert_eq!(count(&deliveries, Outcome::Delivered), TASKS);
    fleet.each_task_handled_it_once();
}

#[tokio::test]
async fn a_second_rotation_before_the_tasks_know_of_the_first_is_one_too_many() {
    let mut fleet = Fleet::new().await;
    fleet.open_the_gate();
    fleet.notifier_gets(NEW).await;
    let third = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    fleet.notifier_gets(third).await;
    sleep(REFRESH).await;
    let deliveries = fleet.notify_all().await.unwrap();
    assert_eq!(count(&deliveries, Outcome::Rejected), TASKS);
    fleet.tasks_know(&format!("{third} {NEW}"));
    let deliveries = fleet.notify_all().await.unwrap();
    assert_eq!(count(&deliveries, Outcome::Delivered), TASKS);
}
