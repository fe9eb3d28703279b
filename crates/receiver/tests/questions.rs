//! Questions: the response of the handler is the answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use ecs_task_notifier_receiver::{FullBody, Notification, on_event};
use ecs_task_notifier_wire::{Audience, DeliveryId, Draft, Envelope};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use support::{NOW, SECRET, Sent, TASK, builder, sign};
use tower_layer::Layer;
use tower_service::Service;

/// A question that expires at this time, signed now.
fn question(id: &str, expires: i64) -> Sent {
    let time = UNIX_EPOCH + Duration::from_secs(expires.unsigned_abs());
    // The time of an event without one is written in the form of an expiry.
    let expiry = Draft::default().complete(&id.parse().unwrap(), time).unwrap().time().to_owned();
    let draft = format!(r#"{{"type":"com.example.status","question":true,"expirytime":"{expiry}"}}"#);
    let draft: Draft = serde_json::from_str(&draft).unwrap();
    let event = draft.complete(&id.parse().unwrap(), UNIX_EPOCH).unwrap();
    let delivery = DeliveryId::derive(event.id(), TASK, "web");
    let mut audience = Audience::new(TASK, "web");
    audience.delivery = delivery.to_string();
    let body = serde_json::to_vec(&Envelope::new(event, audience)).unwrap();
    sign(SECRET, delivery.as_str(), NOW, Method::POST, body)
}

#[tokio::test]
async fn each_attempt_of_a_question_gets_the_answer_of_the_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let receiver = builder().build();
    let service = receiver.layer(on_event(move |notification: Notification| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let answer = || serde_json::json!({ "version": "v42", "call": call });
            Ok::<_, std::io::Error>(notification.is_question().then(answer))
        }
    }));
    let send = async |sent: &Sent| {
        let response = service.clone().call(sent.request(FullBody::from(sent.body.clone()))).await.unwrap();
        let (head, body) = response.into_parts();
        let kind = head.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, kind, String::from_utf8(body.to_vec()).unwrap())
    };
    let asked = question("q-1", NOW + 5);
    for call in 0..2 {
        let answer = send(&asked).await;
        let json = format!(r#"{{"call":{call},"version":"v42"}}"#);
        assert_eq!(answer, (StatusCode::OK, Some("application/json".to_owned()), json));
    }
    assert_eq!(send(&question("q-2", NOW - 29)).await.0, StatusCode::OK, "clocks may differ");
    let expired = send(&question("q-3", NOW - 31)).await;
    assert_eq!((expired.0, expired.2.as_str()), (StatusCode::BAD_REQUEST, "the question has expired\n"));
    assert_eq!(calls.load(Ordering::Relaxed), 3);

    let event = support::EventRequest::default().sign();
    assert_eq!(send(&event).await.0, StatusCode::ACCEPTED, "an event is answered at once");
    assert_eq!(receiver.drain(Duration::from_secs(60)).await, 0);
}

#[tokio::test]
async fn a_handler_that_fails_gives_no_answer() {
    let receiver = builder().build();
    let service = receiver.layer(on_event(|_| async { Err::<String, _>("no database") }));
    let sent = question("q-1", NOW + 5);
    let response = service.clone().call(sent.request(FullBody::from(sent.body.clone()))).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
