//! Shared helpers of the delivery tests.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use notifier::base::{Clock, Rng};
use notifier::deliver::{Deliverer, DeliveryJob, DeliveryOptions, Next, Round};
use notifier::model::labels::Target;
use notifier::model::network::Networks;
use notifier::model::{Delivery, Endpoint, Member, Progress, ProgressEvent};
use notifier::pipeline::memory::{self, Steps, Workers};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, BroadcastId, ContentMode, Draft, Method, Scheme};

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// 2026-11-24 09:30:00 UTC.
pub(crate) const NOW: u64 = 1_795_512_600;

pub(crate) fn fixed_clock() -> Clock {
    Clock::fixed(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

/// Far more time than an answer takes on a busy machine, and hardly any wait between attempts.
pub(crate) fn patient() -> DeliveryOptions {
    DeliveryOptions {
        connect_timeout: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        wait_first: ms(2),
        wait_most: ms(4),
        ..DeliveryOptions::default()
    }
}

/// One attempt that ends soon, for tasks that never answer; still time enough for their neighbours.
pub(crate) fn hasty() -> DeliveryOptions {
    DeliveryOptions { connect_timeout: ms(1_000), timeout: ms(1_500), attempts: 1, ..patient() }
}

pub(crate) fn deliverer(options: &DeliveryOptions) -> Deliverer {
    deliverer_at(options, fixed_clock())
}

pub(crate) fn deliverer_at(options: &DeliveryOptions, clock: Clock) -> Deliverer {
    let networks: Networks = "127.0.0.0/8,::1".parse().unwrap();
    Deliverer::new(options, networks, clock, Rng::seeded(1))
}

pub(crate) fn broadcast() -> Broadcast {
    let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
    Broadcast::new(Draft::default().complete(&id, SystemTime::UNIX_EPOCH).unwrap())
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        member: Arc::new(Member {
            service: "web".into(),
            container: "app".into(),
            task_definition: "arn:aws:ecs:eu-west-1:1:task-definition/web:1".into(),
            ..Member::of_task("prod", &format!("arn:aws:ecs:eu-west-1:1:task/prod/{}", address.port()))
        }),
        address,
        target: Arc::new(Target {
            port: NonZeroU16::MIN,
            path: "/v1.0/notify".into(),
            scheme: Scheme::Http,
            method: Method::Post,
            content_mode: ContentMode::Structured,
            server_name: None,
        }),
        is_starting: false,
        is_late: false,
        wave: None,
        zone: None,
    }
}

/// Makes one delivery of [`broadcast`] with these options.
pub(crate) async fn deliver(options: &DeliveryOptions, address: SocketAddr) -> Delivery {
    deliver_to(&deliverer(options), &broadcast(), endpoint(address)).await
}

/// Makes one delivery without a deadline.
pub(crate) async fn deliver_to(deliverer: &Deliverer, broadcast: &Broadcast, endpoint: Endpoint) -> Delivery {
    deliver_observed(deliverer, broadcast, endpoint, &Progress::default()).await
}

/// The same, with events to `progress`.
pub(crate) async fn deliver_observed(
    deliverer: &Deliverer,
    broadcast: &Broadcast,
    endpoint: Endpoint,
    progress: &Progress,
) -> Delivery {
    let mut job = DeliveryJob::new(endpoint);
    deliverer.deliver(broadcast, &mut job, progress, Round::default()).await.unwrap()
}

/// Deliveries to all endpoints on the in-memory transport, in the order of the endpoints.
pub(crate) async fn deliver_all(
    deliverer: &Deliverer,
    broadcast: &Broadcast,
    endpoints: Vec<Endpoint>,
    progress: &Progress,
) -> Vec<Delivery> {
    deliver_until(deliverer, broadcast, endpoints, progress, &CancellationToken::new()).await.0
}

/// The same until `stop`: the deliveries that ended, and those that have no outcome.
pub(crate) async fn deliver_until(
    deliverer: &Deliverer,
    broadcast: &Broadcast,
    endpoints: Vec<Endpoint>,
    progress: &Progress,
    stop: &CancellationToken,
) -> (Vec<Delivery>, Vec<Delivery>) {
    let deliveries = Deliveries {
        deliverer: deliverer.clone(),
        broadcast: broadcast.clone(),
        progress: progress.clone(),
        ended: Mutex::default(),
    };
    let deliveries = Arc::new(deliveries);
    let options = deliverer.options();
    let workers = Workers { concurrency: options.concurrency, grace: options.grace, stop: stop.clone() };
    let (jobs, waiting) = mpsc::channel(endpoints.len().max(1));
    let order: Vec<_> = endpoints.iter().map(Delivery::from).collect();
    for endpoint in endpoints {
        jobs.send(DeliveryJob::new(endpoint)).await.unwrap();
    }
    drop(jobs);
    memory::run(workers, waiting, Arc::clone(&deliveries)).await.unwrap();
    let mut ended = std::mem::take(&mut *deliveries.ended.lock().unwrap());
    ended.sort_by_key(|delivery| {
        let is_same = |one: &Delivery| (&one.member, one.address) == (&delivery.member, delivery.address);
        order.iter().position(is_same)
    });
    ended.into_iter().partition(|delivery| delivery.outcome.is_some())
}

/// Deliveries without a ledger.
struct Deliveries {
    deliverer: Deliverer,
    broadcast: Broadcast,
    progress: Progress,
    ended: Mutex<Vec<Delivery>>,
}

impl Steps for Deliveries {
    type Error = std::convert::Infallible;

    async fn advance(&self, job: &mut DeliveryJob) -> Result<Next, Self::Error> {
        let Self { deliverer, broadcast, progress, .. } = self;
        Ok(deliverer.advance(broadcast, job, progress, Round::default()).await)
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), Self::Error> {
        if delivery.outcome.is_some() {
            let broadcast = self.broadcast.id.clone();
            self.progress.emit(ProgressEvent::Settled {
                broadcast,
                trace: None,
                delivery: delivery.clone(),
                age: None,
            });
        }
        self.ended.lock().unwrap().push(delivery);
        Ok(())
    }
}

/// An address without a listener.
pub(crate) fn deserted() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The events of a broadcast, and all that have happened.
pub(crate) fn recorder() -> (Progress, Arc<Mutex<Vec<ProgressEvent>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let progress = Progress::default()
        .observed_by(move |event: &ProgressEvent| heard.lock().unwrap().push(event.clone()));
    (progress, events)
}

/// The waits of all retries, in order.
pub(crate) fn waits(events: &Mutex<Vec<ProgressEvent>>) -> Vec<Duration> {
    let events = events.lock().unwrap();
    let wait = |event: &ProgressEvent| match event {
        ProgressEvent::Retrying { wait, .. } => Some(*wait),
        _ => None,
    };
    events.iter().filter_map(wait).collect()
}
