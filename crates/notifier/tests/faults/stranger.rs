//! The address of a stopped task, reused by another service's task that verifies signatures.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use notifier::model::Outcome;
use notifier::pipeline::StageName;
use receiver::{Identity, Notification, Receiver, on_event};
use tokio::net::TcpListener;
use tower_layer::Layer as _;
use tower_service::Service as _;
use wire::signature::VerifyingKeys;

use crate::invariants;
use crate::kill::work_off;
use crate::run::{self, Ground, Run, Seen};
use crate::secrets;
use crate::world::World;

/// The requests to the other task.
#[derive(Default)]
struct Stranger {
    answered: Mutex<Vec<StatusCode>>,
    handled: AtomicUsize,
}

impl Stranger {
    /// Listens at an address, as a task that is another one and knows the same keys.
    async fn listen(self: Arc<Self>, address: SocketAddr, run: &Run) {
        let listener = TcpListener::bind(address).await.unwrap();
        let keys = VerifyingKeys::parse(&secrets::hmac_key()).unwrap();
        let clock = run.clock();
        let receiver =
            Receiver::builder(keys, Identity::task("arn:aws:ecs:us-east-1:111122223333:task/prod/other"))
                .clock(move || clock.now().into())
                .build();
        let handling = Arc::clone(&self);
        let layered = receiver.layer(on_event(move |_: Notification| {
            handling.handled.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Infallible>(()))
        }));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (stranger, layered) = (Arc::clone(&self), layered.clone());
                let answer = move |request: Request<Incoming>| {
                    let (stranger, mut layered) = (Arc::clone(&stranger), layered.clone());
                    async move {
                        let response = layered.call(request).await;
                        stranger
                            .answered
                            .lock()
                            .unwrap()
                            .extend(response.iter().map(hyper::Response::status));
                        response
                    }
                };
                tokio::spawn(
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
                );
            }
        });
    }
}

/// A task that stops after discovery and before its call, and another task at its address.
async fn taken_over(mut run: Run, stranger: Arc<Stranger>) -> Seen {
    run.begin().await;
    work_off(&run, StageName::Services, "observer", "services").await;
    work_off(&run, StageName::Tasks, "services", "tasks").await;
    let task = run.sim.tasks().remove(0);
    run.sim.stop_task(&task.arn).await.unwrap();
    stranger.listen(task.endpoints[0].address, &run).await;
    let daemon = run.daemon();
    run.finish(daemon).await
}

#[tokio::test]
async fn a_stranger_at_the_address_of_a_stopped_task_refuses_its_event_and_the_task_is_gone() {
    let world = World { is_signed: true, ..World::small(&[1]) };
    let ground = Ground { trust: secrets::trust().await, ..Ground::default() };
    let stranger = Arc::<Stranger>::default();
    let there = Arc::clone(&stranger);
    let its = world.clone();
    let played = move || run::play(&its, ground, move |run| taken_over(run, there));
    let seen = tokio::task::spawn_blocking(played).await.unwrap().expect("a world that ends");
    assert_eq!(invariants::broken(&world, &seen), Vec::<String>::new());
    assert_eq!(
        *stranger.answered.lock().unwrap(),
        [StatusCode::MISDIRECTED_REQUEST],
        "it is called once, and refuses"
    );
    assert_eq!(stranger.handled.load(Ordering::SeqCst), 0);
    let recorded = seen.recorded[0].as_ref().unwrap();
    let outcomes: Vec<_> = recorded.report.entries().iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Gone)]);
}
