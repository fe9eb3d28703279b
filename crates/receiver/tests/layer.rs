//! Which requests the layer accepts and refuses, and its responses.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ecs_task_notifier_receiver::{GetPolicy, Identity, MemoryStore, Receiver};
use ecs_task_notifier_wire::headers::{
    GET_BROADCAST, GET_CONTAINER, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
};
use ecs_task_notifier_wire::signature::VerifyingKeys;
use ecs_task_notifier_wire::{BroadcastId, DeliveryId};
use http::{Method, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::{Empty, Full};
use proptest::prelude::*;
use support::{EventRequest, Fault, NOW, OTHER_SECRET, SECRET, Sent, TASK, bench, builder, sign};

#[tokio::test]
async fn an_authentic_event_is_accepted_and_reaches_the_handler_unchanged() {
    let bench = bench(builder());
    let sent = EventRequest::default().sign();
    let answer = bench.send(&sent).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, "accepted"));
    bench.handled(1).await;
    let seen = bench.notes.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.delivery_id(), sent.headers[WEBHOOK_ID]);
    assert_eq!(seen.event().id().as_str(), "b-1");
    assert_eq!((seen.audience().task.as_str(), seen.audience().service.as_str()), (TASK, "shop"));
    assert_eq!(seen.attempted_at(), NOW);
    let data: std::collections::BTreeMap<String, String> = seen.data().unwrap();
    assert_eq!(data["cache"], "prices");
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let ours = || EventRequest::default().sign();
    let body = |json: &str| sign(SECRET, "dlv_1", NOW, Method::POST, json.to_owned());
    let not_post = |method| Sent { method, ..ours() };
    let changed = Sent { body: Bytes::from_static(b"{}"), ..ours() };
    let cases: Vec<(Sent, u16, &str)> = vec![
        (not_post(Method::GET), 405, "only POST is allowed"),
        (not_post(Method::PUT), 405, "only POST is allowed"),
        (not_post(Method::OPTIONS), 405, "only POST is allowed"),
        (ours().without("content-type"), 415, "the body must be application/cloudevents+json"),
        (
            ours().with("content-type", "application/json"),
            415,
            "the body must be application/cloudevents+json",
        ),
        (
            ours().with("content-type", "application/cloudevents-batch+json"),
            415,
            "the body must be application/cloudevents+json",
        ),
        (ours().without(WEBHOOK_ID), 400, "header `webhook-id` is missing"),
        (ours().without(WEBHOOK_TIMESTAMP), 400, "header `webhook-timestamp` is missing"),
        (ours().without(WEBHOOK_SIGNATURE), 400, "header `webhook-signature` is missing"),
        (
            ours().with(WEBHOOK_TIMESTAMP, "now"),
            400,
            "header `webhook-timestamp` must be whole seconds since 1970",
        ),
        (
            ours().with(WEBHOOK_ID, "a.b"),
            400,
            "header `webhook-id` must be printable ASCII without spaces and full stops",
        ),
        (ours().with(WEBHOOK_ID, "dlv_other"), 401, "no signature matches"),
        (ours().with(WEBHOOK_TIMESTAMP, &(NOW + 1).to_string()), 401, "no signature matches"),
        (ours().with(WEBHOOK_SIGNATURE, "v1,AAAA"), 401, "no signature matches"),
        (ours().with(WEBHOOK_SIGNATURE, ""), 401, "no signature matches"),
        (changed, 401, "no signature matches"),
        (
            EventRequest { secret: OTHER_SECRET.into(), ..EventRequest::default() }.sign(),
            401,
            "no signature matches",
        ),
        (
            EventRequest { at: NOW - 301, ..EventRequest::default() }.sign(),
            401,
            "the request was signed 301 s ago, which is longer than allowed",
        ),
        (
            EventRequest { at: NOW + 301, ..EventRequest::default() }.sign(),
            401,
            "the request was signed 301 s in the future, which is further than allowed",
        ),
        (body("{"), 400, "not a CloudEvent: EOF while parsing an object at line 1 column 1"),
        (body("[]"), 400, "not a CloudEvent: invalid type: sequence, expected a map at line 1 column 0"),
        (body("{}"), 400, "not a CloudEvent: missing field `id`"),
        (body(r#"{"id":"b","ecstask":7}"#), 400, "not a CloudEvent: event member `ecstask` must be text"),
        (body(r#"{"id":"b"}"#), 400, "the event has no attribute `ecstask`"),
        (
            EventRequest { task: format!("{TASK}b"), ..EventRequest::default() }.sign(),
            421,
            "the event is addressed to another task",
        ),
    ];
    let bench = bench(builder());
    for (sent, status, text) in cases {
        let answer = bench.send(&sent).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, text), "{sent:?}");
        match status {
            405 => assert_eq!(answer.headers["allow"], "POST"),
            401 => assert!(answer.headers.contains_key("www-authenticate")),
            _ => {}
        }
    }
    assert_eq!(bench.notes.count(), 0);
    assert_eq!(bench.receiver.drain(Duration::ZERO).await, 0);
}

#[tokio::test]
async fn a_replay_is_answered_and_not_handled_again() {
    let bench = bench(builder());
    let sent = EventRequest::default().sign();
    assert_eq!(bench.send(&sent).await.status, StatusCode::ACCEPTED);
    bench.handled(1).await;
    for _ in 0..3 {
        let answer = bench.send(&sent).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "already handled"));
    }
    let later_attempt = EventRequest { at: NOW - 60, ..EventRequest::default() }.sign();
    assert_eq!(bench.send(&later_attempt).await.status, StatusCode::OK);
    bench.handled(1).await;
}

#[tokio::test]
async fn one_of_many_concurrent_repeats_is_handled() {
    let bench = Arc::new(bench(builder()));
    let sent = EventRequest::default().sign();
    let all = (0..50).map(|_| {
        let (bench, sent) = (Arc::clone(&bench), sent.clone());
        tokio::spawn(async move { bench.send(&sent).await.status })
    });
    let mut accepted = 0;
    for answer in all.collect::<Vec<_>>() {
        accepted += usize::from(answer.await.unwrap() == StatusCode::ACCEPTED);
    }
    assert_eq!(accepted, 1);
    bench.handled(1).await;
}

#[tokio::test]
async fn a_handler_that_failed_is_called_again() {
    for fault in [Fault::Error, Fault::Panic] {
        let bench = bench(builder());
        bench.notes.fail.lock().unwrap().push(fault);
        let sent = EventRequest::default().sign();
        for count in [1, 2] {
            assert_eq!(bench.send(&sent).await.status, StatusCode::ACCEPTED);
            bench.handled(count).await;
        }
        assert_eq!(bench.send(&sent).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_response_can_be_the_handlers() {
    let bench = bench(builder().respond_after_handler());
    bench.notes.fail.lock().unwrap().extend([Fault::Panic, Fault::Error]);
    let sent = EventRequest::default().sign();
    for (status, text) in
        [(500, "no such cache"), (500, "the handler failed"), (200, ""), (200, "already handled")]
    {
        let answer = bench.send(&sent).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, text));
    }
    assert_eq!(bench.notes.count(), 3);
}

#[tokio::test]
async fn a_handler_finishes_after_its_sender_disconnects_and_a_concurrent_repeat_gets_503() {
    let bench = Arc::new(bench(builder().respond_after_handler()));
    let gate = bench.notes.shut();
    let sent = EventRequest::default().sign();
    let hanging_up = tokio::time::timeout(Duration::from_millis(50), bench.send(&sent)).await;
    assert!(hanging_up.is_err());
    let answer = bench.send(&sent).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "this delivery is being handled"));
    assert_eq!(answer.headers["retry-after"], "1");
    gate.add_permits(1);
    bench.handled(1).await;
    assert_eq!(bench.send(&sent).await.status, StatusCode::OK);
}

#[tokio::test]
async fn events_beyond_the_queue_get_503_and_can_be_sent_again() {
    let bench = bench(builder().concurrency(1).waiting_max(1));
    let gate = bench.notes.shut();
    let send = async |id: &str| bench.send(&EventRequest::of(id).sign()).await;
    assert_eq!(send("1").await.status, StatusCode::ACCEPTED);
    assert_eq!(send("2").await.status, StatusCode::ACCEPTED);
    let answer = send("3").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "busy"));
    assert_eq!(answer.headers["retry-after"], "1");
    gate.add_permits(3);
    bench.handled(2).await;
    assert_eq!(send("3").await.status, StatusCode::ACCEPTED);
    bench.handled(3).await;
}

#[tokio::test]
async fn events_get_503_while_the_dedup_store_is_full() {
    let window = Duration::from_secs(600);
    let bench = bench(builder().dedup_store(Arc::new(MemoryStore::new(2, window, window))));
    for id in ["1", "2"] {
        assert_eq!(bench.send(&EventRequest::of(id).sign()).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(bench.send(&EventRequest::of("3").sign()).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn draining_waits_for_accepted_events_and_refuses_new_ones() {
    let bench = Arc::new(bench(builder().concurrency(2)));
    let gate = bench.notes.shut();
    for id in ["1", "2", "3"] {
        assert_eq!(bench.send(&EventRequest::of(id).sign()).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(bench.receiver.drain(Duration::from_millis(20)).await, 3);
    let answer = bench.send(&EventRequest::of("4").sign()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "shutting down"));
    assert_eq!(answer.headers["retry-after"], "1");
    gate.add_permits(3);
    assert_eq!(bench.receiver.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(bench.notes.count(), 3);
}

#[tokio::test]
async fn a_too_large_body_is_refused_with_or_without_its_length() {
    let bench = bench(builder().body_bytes_max(1000));
    let sent = sign(SECRET, "dlv_1", NOW, Method::POST, vec![b' '; 1001]);
    let declared = bench.send(&sent).await;
    assert_eq!(
        (declared.status.as_u16(), declared.text.as_str()),
        (413, "the body is larger than 1000 bytes")
    );
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let feeding = tokio::spawn(async move {
        let mut fed = 0;
        while sender.send_data(Bytes::from_static(&[b' '; 100])).await.is_ok() {
            fed += 100;
        }
        fed
    });
    let streamed = bench.call(sent.request(body)).await;
    assert_eq!(streamed.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(feeding.await.unwrap() < 2000);
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_times_out_and_frees_its_memory() {
    let bench = Arc::new(bench(builder().memory_bytes_max(2000)));
    let sent = EventRequest::default().sign();
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let slow = tokio::spawn({
        let (bench, request) = (Arc::clone(&bench), sent.request(body));
        async move { bench.call(request).await }
    });
    sender.send_data(Bytes::from(vec![b' '; 1900])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let meanwhile = bench.send(&sent).await;
    assert_eq!((meanwhile.status.as_u16(), meanwhile.text.as_str()), (503, "busy"));
    let answer = slow.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (408, "the body did not arrive within 5s"));
    assert_eq!(bench.send(&sent).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_get_is_handled_by_the_policy() {
    let signed = get(TASK);
    let forged = signed.clone().with(WEBHOOK_SIGNATURE, "v1,AAAA");
    let bare = Sent { headers: std::collections::BTreeMap::new(), ..signed.clone() };
    for (policy, expected) in [
        (GetPolicy::Refuse, [405, 405, 405]),
        (GetPolicy::Signed, [202, 401, 400]),
        (GetPolicy::Unsigned, [202, 202, 202]),
    ] {
        let bench = bench(builder().get_policy(policy));
        for (sent, status) in [&signed, &forged, &bare].into_iter().zip(expected) {
            let answer = bench.call(sent.request(Empty::<Bytes>::new())).await;
            assert_eq!(answer.status.as_u16(), status, "{policy:?} {sent:?}");
        }
        assert_eq!(bench.send(&EventRequest::default().sign()).await.status, StatusCode::ACCEPTED);
    }
    let bench = bench(builder().get_policy(GetPolicy::Signed));
    bench.send(&signed).await;
    assert_eq!(bench.send(&signed).await.status, StatusCode::OK);
    bench.handled(1).await;
    let seen = bench.notes.seen.lock().unwrap()[0].clone();
    assert_eq!(
        (seen.event().kind(), seen.data::<Option<u8>>().unwrap()),
        (ecs_task_notifier_wire::event::TYPE_DEFAULT, None)
    );
    assert_eq!((seen.event().id().as_str(), seen.audience().task.as_str()), ("b-1", TASK));
}

/// A signed `GET` of the broadcast `b-1` for the container `app` of this task.
#[expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
fn get(task: &str) -> Sent {
    let broadcast = BroadcastId::try_from("b-1".to_owned()).expect("an id");
    let id = DeliveryId::derive(&broadcast, task, "app");
    let signed = sign(SECRET, id.as_str(), NOW, Method::GET, Bytes::new()).without("content-type");
    signed.with(GET_BROADCAST, "b-1").with(GET_CONTAINER, "app")
}

#[tokio::test]
async fn a_signed_get_for_another_task_is_refused_with_any_headers() {
    let bench = bench(builder().get_policy(GetPolicy::Signed));
    for (sent, status) in [
        (get("arn:aws:ecs:eu-west-1:111122223333:task/prod/b"), 421),
        (get(TASK).with(GET_BROADCAST, "b-2"), 421),
        (get(TASK).with(GET_CONTAINER, "another"), 421),
        (get(TASK).without(GET_BROADCAST), 400),
        (get(TASK).without(GET_CONTAINER), 400),
        (get(TASK), 202),
    ] {
        let answer = bench.call(sent.request(Empty::<Bytes>::new())).await;
        assert_eq!(answer.status.as_u16(), status, "{sent:?}: {}", answer.text);
    }
    bench.handled(1).await;
}

#[tokio::test]
async fn keys_rotate_under_load_without_a_refused_event() {
    let bench = Arc::new(bench(builder().waiting_max(10_000)));
    let keys = |text: &str| VerifyingKeys::parse(text).unwrap();
    let both = format!("{SECRET} {OTHER_SECRET}");
    let burst = |secret: String, step: u32| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            for n in 0..200 {
                let event =
                    EventRequest { secret: secret.clone(), ..EventRequest::of(format!("{step}-{n}")) };
                assert_eq!(bench.send(&event.sign()).await.status, StatusCode::ACCEPTED);
            }
        })
    };
    // Each step of the one side begins while the other still makes requests of the step before.
    let old = burst(SECRET.to_owned(), 1);
    bench.receiver.replace_keys(keys(&both));
    let two = burst(format!("{OTHER_SECRET} {SECRET}"), 2);
    old.await.unwrap();
    let new = burst(OTHER_SECRET.to_owned(), 3);
    two.await.unwrap();
    bench.receiver.replace_keys(keys(OTHER_SECRET));
    new.await.unwrap();
    let stale = EventRequest { secret: SECRET.to_owned(), ..EventRequest::of("stale") };
    assert_eq!(bench.send(&stale.sign()).await.status, StatusCode::UNAUTHORIZED);
    bench.handled(600).await;
}

#[tokio::test]
async fn outside_ecs_events_for_any_task_can_be_accepted() {
    let receiver = Receiver::builder(VerifyingKeys::parse(SECRET).unwrap(), Identity::unchecked());
    let bench = bench(receiver.clock(|| std::time::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())));
    let answer = bench.send(&EventRequest { task: "arn:any".into(), ..EventRequest::default() }.sign()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[test]
fn debug_never_shows_the_keys() {
    let shown = format!("{:?} {:?}", bench(builder()).receiver, builder());
    assert!(!shown.contains("MfKQ") && shown.contains(TASK), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// No unauthenticated request calls the handler or crashes the process.
    #[test]
    fn no_unauthenticated_request_is_handled(
        method in "GET|POST|PUT|[A-Z]{1,8}",
        headers in proptest::collection::vec(
            ("webhook-id|webhook-timestamp|webhook-signature|content-type|[a-z-]{1,12}", "[ -~]{0,60}"), 0..8),
        body: Vec<u8>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let bench = bench(builder().get_policy(GetPolicy::Signed));
            let mut request = http::Request::builder().method(method.as_str());
            for (name, value) in &headers {
                request = request.header(name.as_str(), value);
            }
            if let Ok(request) = request.body(Full::new(Bytes::from(body))) {
                let status = bench.call(request).await.status;
                prop_assert!(status.is_client_error(), "{}", status);
            }
            prop_assert_eq!(bench.receiver.drain(Duration::ZERO).await, 0);
            prop_assert_eq!(bench.notes.count(), 0);
            Ok(())
        })?;
    }
}
