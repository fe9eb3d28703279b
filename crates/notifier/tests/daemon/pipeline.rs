//! The whole daemon: three stages on three queues, a fleet that listens, and the daemon's health.

use std::sync::Arc;
use std::time::Duration;

use notifier::aws::Aws;
use notifier::aws::budget::Budget;
use notifier::base::{Clock, Rng};
use notifier::daemon::{self, DaemonError, Served, Worker};
use notifier::ledger::Ledger;
use notifier::pipeline::{Ctx, Output, QueueName, StageName};
use notifier::queue::Trace;
use serde_json::{Value, json};
use simulator::{Fleet, Options, Simulator};
use testkit::sqs::{SOON, Sqs};
use testkit::stages::{Queues, Stages, workers};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{eventually, start};

const FLEET: &str = "
    [[cluster]]
    name = 'prod'
    [[cluster.service]]
    name = 'checkout'
    launch_type = 'FARGATE'
    tasks = 2
    [[cluster.service.container]]
    name = 'app'
    ports = [8080]
    labels = { NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/v1.0/notify' }";

/// A fleet with its queues.
struct Setup {
    sqs: Sqs,
    queues: Queues,
    ctx: Arc<Ctx>,
}

impl Setup {
    async fn new() -> Self {
        Self::of(FLEET, Options::default(), Budget::unlimited(), |_| Clock::system()).await
    }

    async fn of(fleet: &str, options: Options, budget: Budget, clock: fn(&Aws) -> Clock) -> Self {
        let sim = Simulator::start(Fleet::from_toml(fleet).unwrap(), options).await.unwrap();
        let aws = Aws { budget, ..Aws::at(&sim.url(), "us-east-1") };
        let ctx = Stages { clock: clock(&aws), ..Stages::default() }.on(&aws, &Ledger::none());
        let sqs = Sqs::of(sim);
        let queues = Queues::from([
            (QueueName::Observer, sqs.queue("observer", &[]).await),
            (QueueName::Services, sqs.queue("services", &[]).await),
            (QueueName::Tasks, sqs.queue("tasks", &[]).await),
        ]);
        Self { sqs, queues, ctx: Arc::new(ctx) }
    }

    fn workers(&self, stages: &[StageName]) -> Vec<Worker> {
        workers(&self.ctx, &self.queues, stages)
    }

    /// Publishes one body and lets the daemon run until the fleet has been called so often.
    async fn calls(&self, queue: &notifier::queue::Queue, body: &Value, calls: usize) -> Served {
        let (served, shutdown) = serve(self.workers(&StageName::BROADCAST));
        queue.publish(&[body.to_string()], &Trace::default()).await.unwrap();
        eventually("call", async || self.sqs.simulator().received().len() >= calls).await;
        shutdown.cancel();
        timeout(SOON, served).await.unwrap().unwrap().unwrap()
    }
}

/// Runs the daemon with these workers.
fn serve(workers: Vec<Worker>) -> (JoinHandle<Result<Served, DaemonError>>, CancellationToken) {
    let shutdown = CancellationToken::new();
    (tokio::spawn(daemon::serve(workers, shutdown.clone())), shutdown)
}

#[tokio::test]
async fn one_message_with_only_a_cluster_reaches_every_task() {
    let setup = Setup::new().await;
    let observer = &setup.queues[&QueueName::Observer];
    let served = setup.calls(observer, &json!({"cluster": "prod"}), 2).await;
    assert_eq!(served, Served { done: 4, ..Served::default() });
    let received = setup.sqs.simulator().received();
    assert_eq!(received.len(), 2, "once each");
}

#[tokio::test]
async fn a_clock_that_is_a_day_ahead_of_awss_ends_no_retry() {
    const DAY: Duration = Duration::from_hours(24);
    let now = Duration::from_secs(Clock::system().unix_seconds().unsigned_abs());
    let options = Options { epoch: now.checked_sub(DAY).unwrap(), tells_time: true, ..Options::default() };
    // More failures than the quick tries: only a message that goes back to its queue brings the last call.
    let fleet = format!("{FLEET}\nanswers = [{}{{ status = 200 }}]", "{ status = 503 }, ".repeat(3));
    let mut setup = Setup::of(&fleet, options, Budget::unlimited(), Aws::clock).await;
    // Given-up messages go there, and no task is called for them any more.
    setup.queues.insert(QueueName::Tasks, setup.sqs.with_dead_letters("retried", 5, 10).await.0);
    let observer = &setup.queues[&QueueName::Observer];
    setup.calls(observer, &json!({"cluster": "prod"}), 8).await;
    let answered = setup.sqs.simulator().received();
    assert_eq!(answered.len(), 8, "four calls for each of two tasks");
}

#[tokio::test]
async fn a_broadcast_does_not_wait_until_those_before_it_have_looked_up_all_their_names() {
    const BEFORE: usize = 8;
    const NAMES: usize = 1_000;
    let setup = Setup::of(FLEET, Options::default(), Budget::percent(100), |_| Clock::system()).await;
    let observer = &setup.queues[&QueueName::Observer];
    let names: Vec<_> = (0..NAMES).map(|n| format!("invented-{n}")).collect();
    let body = json!({"cluster": "prod", "services": names}).to_string();
    let bodies: Vec<_> = std::iter::repeat_n(body, BEFORE).collect();
    observer.publish(&bodies, &Trace::default()).await.unwrap();
    let mut workers = setup.workers(&StageName::BROADCAST);
    for worker in &mut workers {
        worker.grace = Duration::ZERO;
    }
    let (served, shutdown) = serve(workers);
    let described = || setup.sqs.simulator().count("DescribeServices");
    eventually("work", async || described() > 50).await;
    observer.publish(&[r#"{"cluster":"prod"}"#.to_owned()], &Trace::default()).await.unwrap();
    eventually("call", async || setup.sqs.simulator().received().len() == 2).await;
    // Ten names a call: 800 calls, which the budget lets through in more than half a minute.
    assert!(described() < 400, "{} calls went before", described());
    shutdown.cancel();
    timeout(SOON, served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn messages_of_the_proof_of_concept_are_understood_on_the_inner_queues() {
    let setup = Setup::new().await;
    let body = json!({
        "cluster": "prod",
        "service": "checkout",
        "notify_me_container_port": "8080",
        "notify_me_api_uri": "/v1.0/notify",
    });
    let served = setup.calls(&setup.queues[&QueueName::Services], &body, 2).await;
    assert_eq!(served, Served { done: 3, ..Served::default() });

    let setup = Setup::new().await;
    let task = setup.sqs.simulator().tasks().remove(0);
    let address = task.endpoints[0].address;
    let body = json!({
        "notify_task_arn": task.arn,
        "notify_me_host_address": address.ip().to_string(),
        "notify_me_host_port": address.port().to_string(),
        "notify_me_api_uri": "/v1.0/notify",
    });
    let served = setup.calls(&setup.queues[&QueueName::Tasks], &body, 1).await;
    assert_eq!(served, Served { done: 1, ..Served::default() });
}

#[tokio::test]
async fn the_proof_of_concept_understands_our_messages_on_the_inner_queues() {
    let setup = Setup::new().await;
    let [observer, services, tasks] = QueueName::BROADCAST.map(|name| &setup.queues[&name]);
    observer.publish(&[r#"{"cluster":"prod"}"#.to_owned()], &Trace::default()).await.unwrap();

    let (served, shutdown) = serve(setup.workers(&[StageName::Services]));
    eventually("message", async || setup.sqs.depth(services).await == (1, 0)).await;
    shutdown.cancel();
    assert_eq!(served.await.unwrap().unwrap().done, 1);
    let call = setup.sqs.client.receive_message().queue_url(services.url()).visibility_timeout(0);
    let message = call.send().await.unwrap().messages.unwrap().remove(0);
    let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
    let known = ["cluster", "service", "notify_me_container_port", "notify_me_api_uri"];
    assert_eq!(known.map(|name| body[name].as_str().unwrap()), ["prod", "checkout", "8080", "/v1.0/notify"]);

    let (served, shutdown) = serve(setup.workers(&[StageName::Tasks]));
    eventually("messages", async || setup.sqs.depth(tasks).await == (2, 0)).await;
    shutdown.cancel();
    assert_eq!(served.await.unwrap().unwrap().done, 1);
    let mut found: Vec<_> = setup.sqs.bodies(tasks).await.iter().map(|body| endpoint(body)).collect();
    let mut there: Vec<_> =
        setup.sqs.simulator().tasks().into_iter().collect::<Vec<_>>().iter().map(listener).collect();
    found.sort();
    there.sort();
    assert_eq!(found, there);
}

/// What a consumer that knows only the proof of concept's fields reads.
fn endpoint(body: &str) -> [String; 4] {
    let body: Value = serde_json::from_str(body).unwrap();
    let known = ["notify_task_arn", "notify_me_host_address", "notify_me_host_port", "notify_me_api_uri"];
    known.map(|name| body[name].as_str().unwrap().to_owned())
}

fn listener(task: &simulator::TaskView) -> [String; 4] {
    let address = task.endpoints[0].address;
    [task.arn.clone(), address.ip().to_string(), address.port().to_string(), "/v1.0/notify".to_owned()]
}

#[tokio::test]
async fn one_wrong_queue_stops_the_daemon_and_is_named() {
    let mut setup = Setup::new().await;
    let url = format!("{}-gone", &setup.queues[&QueueName::Services].url());
    setup.queues.insert(
        QueueName::Services,
        notifier::queue::Queue::at(setup.sqs.client.clone(), url.clone(), Rng::seeded(1)),
    );
    let (served, _shutdown) = serve(setup.workers(&StageName::BROADCAST));
    let error = timeout(SOON, served).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "stage tasks cannot process its queue");
    assert!(notifier::base::text::chain(&error).contains(&url), "{error:?}");
}

/// One HTTP request, word for word, and the whole answer.
async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn health_is_answered_over_http() {
    let sqs = Sqs::simulated().await;
    let queue = sqs.queue("q", &[]).await;
    let running = start(&queue, crate::With::default(), |_, _| Box::pin(async { Ok(Output::default()) }));
    running.is_ready(true).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = CancellationToken::new();
    let server = tokio::spawn(daemon::http::serve(listener, running.health.clone().into(), closing.clone()));

    let (status, body) = get(address, "/readyz").await;
    let report: Value = serde_json::from_str(&body).unwrap();
    let stage = &report["stages"][0];
    assert_eq!(
        (status, &report["ready"], &stage["stage"], &stage["queue"]),
        (200, &json!(true), &json!("tasks"), &json!("q"))
    );
    assert_eq!(get(address, "/healthz").await.0, 200);
    assert_eq!(get(address, "/healthz?verbose").await.0, 200);
    assert_eq!(get(address, "/").await.0, 404);
    assert!(
        ask(address, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
    assert!(ask(address, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("\r\n\r\n"), "no body");
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(20_000));
    assert!(!ask(address, &long).await.starts_with("HTTP/1.1 200"));

    running.shutdown.cancel();
    running.is_ready(false).await;
    let (status, body) = get(address, "/readyz").await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["stopping"].clone()),
        (503, json!(true))
    );
    assert_eq!(get(address, "/healthz").await.0, 200, "it is stopping, not dead");
    closing.cancel();
    timeout(SOON, server).await.unwrap().unwrap();
}

/// More than the server holds, and more than the system queues for it.
const SILENT: usize = 1_000;

#[tokio::test]
async fn a_thousand_silent_connections_do_not_keep_a_probe_from_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = CancellationToken::new();
    tokio::spawn(daemon::http::serve(listener, daemon::http::Pages::default(), closing.clone()));
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    for probe in 0..14 {
        assert_eq!(get(address, "/healthz").await.0, 200, "probe {probe}");
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
    }
    let mut open = 0;
    for stream in &silent {
        let mut byte = [0];
        let peeked = timeout(Duration::from_millis(1), stream.peek(&mut byte)).await;
        open += usize::from(peeked.is_err());
    }
    assert!(open <= 32, "{open} silent connections are still held");
    closing.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_client_has_a_second_for_its_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = CancellationToken::new();
    tokio::spawn(daemon::http::serve(listener, daemon::http::Pages::default(), closing.clone()));
    let started = tokio::time::Instant::now();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    half.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    closing.cancel();
}
