//! A machine without free files is not a fleet of dead tasks. Alone in its process, whose limit it lowers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notifier::base::{Clock, Rng};
use notifier::deliver::{AttemptError, Deliverer, DeliveryJob, DeliveryOptions, Round};
use notifier::model::Progress;
use notifier::model::labels::Target;
use notifier::model::{Endpoint, Member};
use rustix::process::{Resource, getrlimit, setrlimit};
use wire::{Broadcast, BroadcastId, ContentMode, Draft, Method, Scheme};

#[tokio::test]
async fn a_delivery_for_which_no_file_is_left_is_handed_back() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = DeliveryOptions { wait_first: Duration::from_millis(1), ..DeliveryOptions::default() };
    let clock = Clock::fixed(SystemTime::UNIX_EPOCH);
    let deliverer = Deliverer::new(&options, "127.0.0.0/8".parse().unwrap(), clock, Rng::seeded(1));
    let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
    let event = Draft::default().complete(&id, SystemTime::UNIX_EPOCH).unwrap();
    let endpoint = Endpoint {
        member: Arc::new(Member { task: "arn:task".into(), ..Member::default() }),
        address,
        target: Arc::new(Target {
            port: 80.try_into().unwrap(),
            path: "/".into(),
            scheme: Scheme::Http,
            method: Method::Post,
            content_mode: ContentMode::Structured,
            server_name: None,
        }),
        is_starting: false,
        is_late: false,
        wave: None,
        zone: None,
    };
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(0);
    setrlimit(Resource::Nofile, limit).unwrap();
    let unfinished = deliverer
        .deliver(
            &Broadcast::new(event),
            &mut DeliveryJob::new(endpoint),
            &Progress::default(),
            Round::default(),
        )
        .await
        .unwrap_err();
    assert_eq!(unfinished.attempts, 3);
    assert!(matches!(unfinished.last, Some(AttemptError::Local(_))), "{unfinished:?}");
}
