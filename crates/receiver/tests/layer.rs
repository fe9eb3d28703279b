//! What the layer lets through, what it refuses, and with which answer.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::{Empty, Full};
use proptest::prelude::*;
use receiver::{Get, Identity, Memory};
use support::{DeadLetter, Fault, NOW, OTHER_SECRET, SECRET, Sent, TASK, bench, builder, sign};
use wire::headers::{GET_BROADCAST, GET_CONTAINER, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use wire::signature::VerifyingKeys;
use wire::{BroadcastId, DeliveryId};

#[tokio::test]
async fn a_true_event_is_accepted_and_reaches_the_handler_whole() {
    let bench = bench(builder());
    let sent = DeadLetter::default().sign();
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
async fn whatever_is_not_ours_now_and_for_this_task_is_refused() {
    let ours = || DeadLetter::default().sign();
    let body = |json: &str| sign(SECRET, "dlv_1", NOW, Method::POST, json.to_owned());
    let not_post = |method| Sent { method, ..ours() };
    let changed = Sent { body: Bytes::from_static(b"{}"), ..ours() };
    let cases: Vec<(Sent, u16, &str)> = vec![
        (not_post(Method::GET), 405, "only POST is accepted here"),
        (not_post(Method::PUT), 405, "only POST is accepted here"),
        (not_post(Method::OPTIONS), 405, "only POST is accepted here"),
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
            DeadLetter { secret: OTHER_SECRET.into(), ..DeadLetter::default() }.sign(),
            401,
            "no signature matches",
        ),
        (
            DeadLetter { at: NOW - 301, ..DeadLetter::default() }.sign(),
            401,
            "the request was signed 301 s ago, longer than allowed",
        ),
        (
            DeadLetter { at: NOW + 301, ..DeadLetter::default() }.sign(),
            401,
            "the request was signed 301 s in the future, further than allowed",
        ),
        (body("{"), 400, "not a CloudEvent: EOF while parsing an object at line 1 column 1"),
        (body("[]"), 400, "not a CloudEvent: invalid type: sequence, expected a map at line 1 column 0"),
        (body("{}"), 400, "not a CloudEvent: missing field `id`"),
        (body(r#"{"id":"b","ecstask":7}"#), 400, "not a CloudEvent: event member `ecstask` must be text"),
        (body(r#"{"id":"b"}"#), 400, "the event names no task"),
        (
            DeadLetter { task: format!("{TASK}b"), ..DeadLetter::default() }.sign(),
            421,
            "the event is for another task",
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
    let sent = DeadLetter::default().sign();
    assert_eq!(bench.send(&sent).await.status, StatusCode::ACCEPTED);
    bench.handled(1).await;
    for _ in 0..3 {
        let answer = bench.send(&sent).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "handled before"));
    }
    let later_attempt = DeadLetter { at: NOW - 60, ..DeadLetter::default() }.sign();
    assert_eq!(bench.send(&later_attempt).await.status, StatusCode::OK);
    bench.handled(1).await;
}

#[tokio::test]
async fn of_many_equal_requests_at_once_one_is_handled() {
    let bench = Arc::new(bench(builder()));
    let sent = DeadLetter::default().sign();
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
        let sent = DeadLetter::default().sign();
        for count in [1, 2] {
            assert_eq!(bench.send(&sent).await.status, StatusCode::ACCEPTED);
            bench.handled(count).await;
        }
        assert_eq!(bench.send(&sent).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn by_choice_the_answer_is_the_handlers_own() {
    let bench = bench(builder().answer_after_handler());
    bench.notes.fail.lock().unwrap().extend([Fault::Panic, Fault::Error]);
    let sent = DeadLetter::default().sign();
    for (status, text) in
        [(500, "no such cache"), (500, "the handler failed"), (200, ""), (200, "handled before")]
    {
        let answer = bench.send(&sent).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, text));
    }
    assert_eq!(bench.notes.count(), 3);
}

#[tokio::test]
async fn a_handler_ends_although_its_sender_hung_up_and_an_impatient_one_is_put_off() {
    let bench = Arc::new(bench(builder().answer_after_handler()));
    let gate = bench.notes.shut();
    let sent = DeadLetter::default().sign();
    let hanging_up = tokio::time::timeout(Duration::from_millis(50), bench.send(&sent)).await;
    assert!(hanging_up.is_err());
    let answer = bench.send(&sent).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "this event is being handled"));
    assert_eq!(answer.headers["retry-after"], "1");
    gate.add_permits(1);
    bench.handled(1).await;
    assert_eq!(bench.send(&sent).await.status, StatusCode::OK);
}

#[tokio::test]
async fn more_than_there_is_room_for_is_put_off_and_forgotten() {
    let bench = bench(builder().concurrency(1).waiting_max(1));
    let gate = bench.notes.shut();
    let send = async |id: &str| bench.send(&DeadLetter::of(id).sign()).await;
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
async fn when_ids_would_have_to_be_forgotten_too_early_events_are_put_off() {
    let window = Duration::from_mins(10);
    let bench = bench(builder().seen(Arc::new(Memory::new(2, window, window))));
    for id in ["1", "2"] {
        assert_eq!(bench.send(&DeadLetter::of(id).sign()).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(bench.send(&DeadLetter::of("3").sign()).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn draining_waits_for_what_was_accepted_and_refuses_the_rest() {
    let bench = Arc::new(bench(builder().concurrency(2)));
    let gate = bench.notes.shut();
    for id in ["1", "2", "3"] {
        assert_eq!(bench.send(&DeadLetter::of(id).sign()).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(bench.receiver.drain(Duration::from_millis(20)).await, 3);
    let answer = bench.send(&DeadLetter::of("4").sign()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (503, "shutting down"));
    assert_eq!(answer.headers["retry-after"], "1");
    gate.add_permits(3);
    assert_eq!(bench.receiver.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(bench.notes.count(), 3);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
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
async fn a_body_that_never_ends_costs_its_limit_of_time_and_gives_its_room_back() {
    let bench = Arc::new(bench(builder().memory_bytes_max(2000)));
    let sent = DeadLetter::default().sign();
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
async fn a_bare_get_is_allowed_only_by_choice() {
    let signed = get(TASK);
    let forged = signed.clone().with(WEBHOOK_SIGNATURE, "v1,AAAA");
    let bare = Sent { headers: std::collections::BTreeMap::new(), ..signed.clone() };
    for (get, expected) in
        [(Get::Refuse, [405, 405, 405]), (Get::Signed, [202, 401, 400]), (Get::Unsigned, [202, 202, 202])]
    {
        let bench = bench(builder().get(get));
        for (sent, status) in [&signed, &forged, &bare].into_iter().zip(expected) {
            let answer = bench.call(sent.request(Empty::<Bytes>::new())).await;
            assert_eq!(answer.status.as_u16(), status, "{get:?} {sent:?}");
        }
        assert_eq!(bench.send(&DeadLetter::default().sign()).await.status, StatusCode::ACCEPTED);
    }
    let bench = bench(builder().get(Get::Signed));
    bench.send(&signed).await;
    assert_eq!(bench.send(&signed).await.status, StatusCode::OK);
    bench.handled(1).await;
    let seen = bench.notes.seen.lock().unwrap()[0].clone();
    assert_eq!((seen.event().kind(), seen.data::<Option<u8>>().unwrap()), (wire::event::TYPE_DEFAULT, None));
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
async fn a_signed_get_for_another_task_is_refused_whatever_its_headers_say() {
    let bench = bench(builder().get(Get::Signed));
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
                let letter = DeadLetter { secret: secret.clone(), ..DeadLetter::of(format!("{step}-{n}")) };
                assert_eq!(bench.send(&letter.sign()).await.status, StatusCode::ACCEPTED);
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
    let stale = DeadLetter { secret: SECRET.to_owned(), ..DeadLetter::of("stale") };
    assert_eq!(bench.send(&stale.sign()).await.status, StatusCode::UNAUTHORIZED);
    bench.handled(600).await;
}

#[tokio::test]
async fn outside_ecs_events_for_any_task_can_be_accepted() {
    let receiver = receiver::Receiver::builder(VerifyingKeys::parse(SECRET).unwrap(), Identity::unchecked());
    let bench = bench(receiver.clock(|| std::time::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())));
    let answer =
        bench.send(&DeadLetter { task: "arn:whichever".into(), ..DeadLetter::default() }.sign()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[test]
fn nothing_tells_the_keys() {
    let shown = format!("{:?} {:?}", bench(builder()).receiver, builder());
    assert!(!shown.contains("MfKQ") && shown.contains(TASK), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever a stranger sends, the handler is not called and the process lives.
    #[test]
    fn no_request_of_a_stranger_is_handled(
        method in "GET|POST|PUT|[A-Z]{1,8}",
        headers in proptest::collection::vec(
            ("webhook-id|webhook-timestamp|webhook-signature|content-type|[a-z-]{1,12}", "[ -~]{0,60}"), 0..8),
        body: Vec<u8>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let bench = bench(builder().get(Get::Signed));
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
