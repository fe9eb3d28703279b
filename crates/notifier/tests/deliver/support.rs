//! What the tests of delivery have in common.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use notifier::base::{Clock, Rng};
use notifier::deliver::{Deliverer, DeliveryOptions, Round};
use notifier::model::DeliveryResult;
use notifier::model::labels::Target;
use notifier::model::network::Networks;
use notifier::model::{Endpoint, Member};
use notifier::model::{Progress, Step};
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
    let event = Draft::default().complete(&id, SystemTime::UNIX_EPOCH.into()).unwrap();
    Broadcast { id, event }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        member: Member {
            cluster: "prod".into(),
            service: "web".into(),
            task: format!("arn:aws:ecs:eu-west-1:1:task/prod/{}", address.port()),
            task_definition: "arn:aws:ecs:eu-west-1:1:task-definition/web:1".into(),
            container: "app".into(),
        },
        address,
        target: Target {
            port: NonZeroU16::MIN,
            path: "/v1.0/notify".into(),
            scheme: Scheme::Http,
            method: Method::Post,
            content_mode: ContentMode::Structured,
            server_name: None,
        },
        is_starting: false,
    }
}

/// A delivery without a deadline.
pub(crate) async fn deliver(options: &DeliveryOptions, address: SocketAddr) -> DeliveryResult {
    let progress = Progress::default();
    let round = Round::default();
    deliverer(options).deliver(&broadcast(), &endpoint(address), &progress, round).await.unwrap().result
}

/// An address where nobody listens.
pub(crate) fn deserted() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener, and the steps that it has heard.
pub(crate) fn recorder() -> (Progress, Arc<Mutex<Vec<Step>>>) {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&steps);
    (Progress::new(move |step| heard.lock().unwrap().push(step)), steps)
}

/// The waits of all retries, in order.
pub(crate) fn waits(steps: &Mutex<Vec<Step>>) -> Vec<Duration> {
    let steps = steps.lock().unwrap();
    steps
        .iter()
        .filter_map(|step| if let Step::Retrying { wait, .. } = step { Some(*wait) } else { None })
        .collect()
}
