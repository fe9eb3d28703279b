//! The outcome of each answer, and of each missing answer.

use std::time::{Duration, Instant, SystemTime};

use notifier::deliver::DeliveryOptions;
use notifier::model::Outcome;
use notifier::model::ProgressEvent;

use crate::server::{Act, Server, reply};
use crate::support::{
    NOW, broadcast, deliver, deliver_observed, deliverer, deserted, endpoint, ms, patient, recorder, waits,
};

/// One answer, given to every attempt: the outcome, the reason, and the attempts made.
async fn check(head: &str, body: &str, outcome: Outcome, reason: Option<&str>, attempts: u32) {
    let server = Server::playing(vec![reply(head, body)]).await;
    let result = deliver(&patient(), server.address).await;
    let status = head.split(' ').next().unwrap().parse().ok();
    let found = (result.outcome, result.reason.as_deref(), result.attempts, result.status);
    assert_eq!(found, (Some(outcome), reason, Some(attempts), status), "{head}");
    assert_eq!(server.seen().len(), usize::try_from(attempts).unwrap(), "{head}");
}

#[tokio::test]
async fn any_2xx_is_delivered() {
    for head in ["200 OK", "202 Accepted", "204 No Content", "299 Fine"] {
        check(head, "", Outcome::Delivered, None, 1).await;
    }
    check("200 OK", "with a body", Outcome::Delivered, None, 1).await;
}

#[tokio::test]
async fn not_now_is_tried_again_until_the_tries_are_used_up() {
    check("408 Request Timeout", "", Outcome::Failed, Some("answered 408 Request Timeout"), 3).await;
    check("425 Too Early", "", Outcome::Failed, Some("answered 425 Too Early"), 3).await;
    check("429 Too Many Requests", "", Outcome::Failed, Some("answered 429 Too Many Requests"), 3).await;
    check("500 Oops", "", Outcome::Failed, Some("answered 500 Internal Server Error"), 3).await;
    check("503 x", "warming up", Outcome::Failed, Some("answered 503 Service Unavailable: warming up"), 3)
        .await;
    check("599 x", "", Outcome::Failed, Some("answered 599"), 3).await;
}

#[tokio::test]
async fn a_task_that_is_going_needs_no_second_call() {
    check("410 Gone", "draining", Outcome::Gone, Some("answered 410 Gone: draining"), 1).await;
}

#[tokio::test]
async fn a_task_at_somebody_elses_address_fails_without_a_second_call() {
    let reason = "answered 421 Misdirected Request: another task has its address";
    check("421 Misdirected Request", "", Outcome::Failed, Some(reason), 1).await;
}

#[tokio::test]
async fn every_other_status_is_a_no() {
    check(
        "400 Bad Request",
        "no such key",
        Outcome::Rejected,
        Some("answered 400 Bad Request: no such key"),
        1,
    )
    .await;
    check("401 Unauthorized", "", Outcome::Rejected, Some("answered 401 Unauthorized"), 1).await;
    check("404 Not Found", "", Outcome::Rejected, Some("answered 404 Not Found"), 1).await;
    check("304 Not Modified", "", Outcome::Rejected, Some("answered 304 Not Modified"), 1).await;
    check("666 x", "", Outcome::Rejected, Some("answered 666"), 1).await;
}

#[tokio::test]
async fn a_redirect_is_a_no_and_is_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 x"] {
        let elsewhere = Server::answering("200 OK").await;
        let head = format!("{status}\r\nlocation: http://{}/v1.0/notify", elsewhere.address);
        let server = Server::answering(&head).await;
        let result = deliver(&patient(), server.address).await;
        assert_eq!((result.outcome, result.attempts), (Some(Outcome::Rejected), Some(1)), "{status}");
        assert_eq!(elsewhere.connections(), 0, "{status}");
    }
}

#[tokio::test]
async fn failing_twice_and_then_working_is_delivered() {
    let failing = reply("500 Internal Server Error", "");
    let server = Server::playing(vec![failing.clone(), failing, reply("200 OK", "")]).await;
    let (progress, steps) = recorder();
    let result =
        deliver_observed(&deliverer(&patient()), &broadcast(), endpoint(server.address), &progress).await;
    assert_eq!(
        (result.outcome, result.reason, result.attempts, result.status),
        (Some(Outcome::Delivered), None, Some(3), Some(200))
    );
    let told: Vec<_> = steps
        .lock()
        .unwrap()
        .iter()
        .map(|step| match step {
            ProgressEvent::Retrying { delivery, .. } => {
                (delivery.requests(), delivery.reason.clone().unwrap())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let reason = "answered 500 Internal Server Error".to_owned();
    assert_eq!(told, [(1, reason.clone()), (2, reason)], "the caller reports the end");
}

#[tokio::test]
async fn nobody_listening_is_tried_again() {
    let result = deliver(&patient(), deserted()).await;
    assert_eq!((result.outcome, result.attempts, result.status), (Some(Outcome::Failed), Some(3), None));
    let reason = result.reason.unwrap();
    assert!(reason.starts_with("cannot connect: Connection refused"), "{reason}");
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let scripts = vec![
        vec![Act::Read],
        vec![Act::Read, Act::Reset],
        vec![Act::Read, Act::Write(b"HTTP/1.1 200".to_vec())],
        vec![Act::Read, Act::Write(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()), Act::Reset],
        reply("200 OK", ""),
    ];
    let server = Server::playing(scripts).await;
    let result = deliver(&DeliveryOptions { attempts: 5, ..patient() }, server.address).await;
    assert_eq!((result.outcome, result.attempts), (Some(Outcome::Delivered), Some(5)));
}

#[tokio::test]
async fn the_status_is_that_of_the_last_attempt() {
    let server = Server::playing(vec![reply("503 x", ""), vec![Act::Read, Act::Reset]]).await;
    let result = deliver(&DeliveryOptions { attempts: 2, ..patient() }, server.address).await;
    assert_eq!((result.outcome, result.status), (Some(Outcome::Failed), None));
    assert!(result.reason.unwrap().starts_with("the connection was closed: "));
}

#[tokio::test]
async fn retry_after_in_seconds_is_waited_for() {
    let server = Server::playing(vec![reply("503 x\r\nretry-after: 1", ""), reply("200 OK", "")]).await;
    assert_eq!(deliver(&patient(), server.address).await.outcome, Some(Outcome::Delivered));
    let seen = server.seen();
    let gap = seen[1].at - seen[0].at;
    assert!(gap >= Duration::from_secs(1), "{gap:?}");
}

/// What is waited when the task answers `503` with this `Retry-After`, at [`NOW`].
async fn wait_after(retry_after: &str, retry_after_most: Duration) -> Duration {
    let head = format!("503 x\r\nretry-after: {retry_after}");
    let server = Server::playing(vec![reply(&head, ""), reply("200 OK", "")]).await;
    let (progress, steps) = recorder();
    let options = DeliveryOptions { retry_after_most, ..patient() };
    deliver_observed(&deliverer(&options), &broadcast(), endpoint(server.address), &progress).await;
    waits(&steps)[0]
}

#[tokio::test]
async fn retry_after_as_a_date_is_waited_for() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 1);
    let wait = wait_after(&httpdate::fmt_http_date(at), ms(5_000)).await;
    assert!((ms(1_000)..=ms(1_002)).contains(&wait), "{wait:?}");
    assert!(wait_after("Tue, 01 Jan 2019 00:00:00 GMT", ms(5_000)).await <= ms(2));
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_a_limit_only() {
    for long in ["86400", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let wait = wait_after(long, ms(300)).await;
        assert!((ms(300)..=ms(302)).contains(&wait), "{long}: {wait:?}");
    }
    assert!(wait_after("soon", ms(300)).await <= ms(2));
}

#[tokio::test]
async fn the_latency_is_that_of_the_last_attempt() {
    let slow = |head: &str, pause| {
        let mut script = reply(head, "");
        script.insert(1, Act::Pause(pause));
        script
    };
    let server = Server::playing(vec![slow("503 x", ms(500)), slow("200 OK", ms(100))]).await;
    let started = Instant::now();
    let latency = deliver(&patient(), server.address).await.latency.unwrap();
    assert!(latency >= ms(100), "{latency:?}");
    assert!(latency + ms(500) <= started.elapsed(), "{latency:?} of {:?}", started.elapsed());
}
