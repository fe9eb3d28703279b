//! The requests to a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use notifier::base::Clock;
use notifier::model::Endpoint;
use notifier::model::Outcome;
use wire::{DeliveryId, Draft, Envelope, Method};

use crate::server::{Seen, Server, reply};
use crate::support::{NOW, broadcast, deliver_to, deliverer, deliverer_at, endpoint, patient};

/// The one request of a delivery that works at once.
async fn sent(server: &Server, change: impl FnOnce(&mut Endpoint)) -> Seen {
    let mut endpoint = endpoint(server.address);
    change(&mut endpoint);
    let result = deliver_to(&deliverer(&patient()), &broadcast(), endpoint).await;
    assert_eq!(result.outcome, Some(Outcome::Delivered));
    server.seen().pop().unwrap()
}

#[tokio::test]
async fn a_task_gets_the_event_as_the_body_of_a_post() {
    let server = Server::answering("202 Accepted").await;
    let seen = sent(&server, |_| ()).await;
    let id = DeliveryId::derive(&broadcast().id, &endpoint(server.address).member.task, "app");
    assert_eq!(seen.line(), "POST /v1.0/notify HTTP/1.1");
    for (name, value) in [
        ("host", server.address.to_string()),
        ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
        ("content-length", seen.body.len().to_string()),
        ("user-agent", format!("ecs-task-notifier/{}", env!("CARGO_PKG_VERSION"))),
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", NOW.to_string()),
        ("connection", "close".to_owned()),
    ] {
        assert_eq!(seen.header(name), Some(value.as_str()), "{name}");
    }
    let parent = seen.header("traceparent").unwrap();
    assert!(parent.starts_with("00-") && parent.len() == 55, "{parent}");
    assert_eq!(
        seen.head.lines().count(),
        10,
        "the request line, eight headers, the empty line: {}",
        seen.head
    );
    let envelope: Envelope = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(envelope.event, broadcast().event);
    assert_eq!(envelope.audience.task, endpoint(server.address).member.task);
    assert_eq!(envelope.audience.container, "app");
    assert_eq!(envelope.audience.service, "web");
    assert_eq!(envelope.audience.cluster, "prod");
    assert_eq!(envelope.audience.delivery, id.to_string());
}

#[tokio::test]
async fn a_get_has_no_body_and_no_headers_of_one() {
    let server = Server::answering("200 OK").await;
    let seen = sent(&server, |endpoint| Arc::make_mut(&mut endpoint.target).method = Method::Get).await;
    assert_eq!(seen.line(), "GET /v1.0/notify HTTP/1.1");
    for name in ["content-length", "content-type", "transfer-encoding"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert!(seen.body.is_empty());
    // The parts of the signed id, except the task, which the receiver knows.
    let (broadcast, container) = (seen.header("ce-id").unwrap(), seen.header("ce-ecscontainer").unwrap());
    assert_eq!((broadcast, container), ("b-1", "app"));
    let id = DeliveryId::derive(&self::broadcast().id, &endpoint(server.address).member.task, container);
    assert_eq!(seen.header("webhook-id"), Some(id.as_str()));
}

#[tokio::test]
async fn the_path_is_sent_as_the_label_says_it() {
    let server = Server::answering("200 OK").await;
    for path in ["/", "/a%20b/../c?x=1&y=%2F", "/?q"] {
        let seen = sent(&server, |endpoint| Arc::make_mut(&mut endpoint.target).path = path.to_owned()).await;
        assert_eq!(seen.line(), format!("POST {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn an_ipv6_task_is_called_with_its_address_in_brackets() {
    let server = Server::on("[::1]:0", vec![reply("200 OK", "")]).await;
    let seen = sent(&server, |_| ()).await;
    assert_eq!(seen.header("host"), Some(format!("[::1]:{}", server.address.port()).as_str()));
}

#[tokio::test]
async fn every_attempt_has_the_same_id_and_body_and_its_own_time() {
    let server = Server::playing(vec![reply("500 x", ""), reply("500 x", ""), reply("200 OK", "")]).await;
    let read = AtomicU64::new(NOW);
    let clock = Clock::from_fn(move || {
        SystemTime::UNIX_EPOCH + Duration::from_secs(read.fetch_add(60, Ordering::SeqCst))
    });
    let deliverer = deliverer_at(&patient(), clock);
    deliver_to(&deliverer, &broadcast(), endpoint(server.address)).await;
    let seen = server.seen();
    let times: Vec<_> =
        seen.iter().map(|seen| seen.header("webhook-timestamp").unwrap().to_owned()).collect();
    assert_eq!(times, [NOW, NOW + 60, NOW + 120].map(|time| time.to_string()));
    assert!(seen.iter().all(|other| other.header("webhook-id") == seen[0].header("webhook-id")));
    assert!(seen.iter().all(|other| other.body == seen[0].body));
    // One trace, and a span of its own for each.
    let parents: Vec<_> = seen.iter().map(|seen| seen.header("traceparent").unwrap()).collect();
    assert!(parents.iter().all(|parent| parent.get(..36) == parents[0].get(..36)), "{parents:?}");
    assert!(parents[0] != parents[1] && parents[1] != parents[2], "{parents:?}");
}

#[tokio::test]
async fn the_same_delivery_made_again_has_the_same_id_and_another_one_has_not() {
    let server = Server::answering("200 OK").await;
    let id = |seen: Seen| seen.header("webhook-id").unwrap().to_owned();
    let first = id(sent(&server, |_| ()).await);
    assert_eq!(id(sent(&server, |_| ()).await), first);
    assert_ne!(
        id(sent(&server, |endpoint| Arc::make_mut(&mut endpoint.member).container = "sidecar".into()).await),
        first
    );
    assert_ne!(
        id(sent(&server, |endpoint| Arc::make_mut(&mut endpoint.member).task = "arn:other".into()).await),
        first
    );
}

#[tokio::test]
async fn the_largest_event_that_the_queues_carry_arrives_whole() {
    let server = Server::answering("200 OK").await;
    let mut large = broadcast();
    let data = format!("\"{}\"", "x".repeat(wire::event::EVENT_BYTES_MAX - 4096));
    let mut draft = Draft::default();
    draft.data = Some(wire::Data::from_json(data).unwrap());
    large.event = draft.complete(&large.id, SystemTime::UNIX_EPOCH).unwrap();
    let endpoint = endpoint(server.address);
    let result = deliver_to(&deliverer(&patient()), &large, endpoint).await;
    assert_eq!(result.outcome, Some(Outcome::Delivered));
    let envelope: Envelope = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!(envelope.event, large.event);
}
