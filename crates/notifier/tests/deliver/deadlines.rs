//! A delivery with a deadline is returned unfinished.

use std::error::Error;
use std::time::Duration;

use notifier::deliver::{AttemptError, DeliveryJob, DeliveryOptions, Round, Unfinished};
use notifier::model::Progress;
use notifier::model::{Delivery, Outcome};
use tokio::time::Instant;

use crate::server::{Act, Server, reply};
use crate::support::{broadcast, deliverer, endpoint, ms, patient};

async fn deliver(options: &DeliveryOptions, server: &Server, time: Duration) -> Result<Delivery, Unfinished> {
    let (endpoint, progress) = (endpoint(server.address), Progress::default());
    deliverer(options)
        .deliver(&broadcast(), &mut DeliveryJob::new(endpoint.clone()), &progress, within(time))
        .await
}

fn within(time: Duration) -> Round {
    Round { deadline: Some(Instant::now() + time), ..Round::default() }
}

#[tokio::test]
async fn a_delivery_with_time_enough_ends_as_without_a_deadline() {
    let server = Server::playing(vec![reply("503 x", ""), reply("200 OK", "")]).await;
    let result = deliver(&patient(), &server, Duration::from_secs(20)).await.unwrap();
    assert_eq!((result.outcome, result.attempts), (Some(Outcome::Delivered), Some(2)));
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let server = Server::answering("200 OK").await;
    let unfinished = deliver(&patient(), &server, Duration::ZERO).await.unwrap_err();
    assert_eq!((unfinished.attempts, unfinished.retry_after), (0, None));
    assert!(unfinished.source().is_none());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_attempt_ends_at_the_deadline_and_is_handed_back() {
    let server = Server::playing(vec![vec![Act::Read, Act::Hang]]).await;
    let started = Instant::now();
    let unfinished = deliver(&patient(), &server, ms(300)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(unfinished.attempts, 1);
    assert!(matches!(unfinished.last, Some(AttemptError::CutOff)), "{unfinished:?}");
}

#[tokio::test]
async fn even_the_last_attempt_is_handed_back_when_the_deadline_ended_it() {
    let server = Server::playing(vec![vec![Act::Read, Act::Hang]]).await;
    let options = DeliveryOptions { attempts: 1, ..patient() };
    let unfinished = deliver(&options, &server, ms(300)).await.unwrap_err();
    assert!(matches!(unfinished.last, Some(AttemptError::CutOff)), "{unfinished:?}");
}

#[tokio::test]
async fn a_wait_that_the_deadline_does_not_allow_is_handed_back_at_once() {
    let server = Server::answering("429 x\r\nretry-after: 9").await;
    let started = Instant::now();
    let unfinished = deliver(&patient(), &server, Duration::from_secs(5)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "it must not wait for the deadline");
    assert_eq!(unfinished.attempts, 1);
    assert!(unfinished.retry_after.unwrap() >= Duration::from_secs(9));
    assert_eq!(unfinished.to_string(), "not notified after 1 attempt");
    assert_eq!(unfinished.source().unwrap().to_string(), "answered 429 Too Many Requests");
}

#[tokio::test]
async fn a_delivery_that_finds_no_free_slot_in_time_is_handed_back() {
    let server = Server::playing(vec![vec![Act::Read, Act::Hang]]).await;
    let deliverer = deliverer(&DeliveryOptions { concurrency: 1, ..patient() });
    let (broadcast, endpoint, progress) = (broadcast(), endpoint(server.address), Progress::default());
    let mut jobs = [endpoint.clone(), endpoint].map(DeliveryJob::new);
    let [one, other] = &mut jobs;
    let (first, second) = tokio::join!(
        deliverer.deliver(&broadcast, one, &progress, within(ms(600))),
        deliverer.deliver(&broadcast, other, &progress, within(ms(300))),
    );
    assert_eq!((first.unwrap_err().attempts, second.unwrap_err().attempts), (1, 0));
}

#[tokio::test]
async fn a_final_answer_is_final_with_a_deadline_too() {
    for (head, outcome) in [("404 x", Outcome::Rejected), ("410 x", Outcome::Gone)] {
        let server = Server::answering(head).await;
        let result = deliver(&patient(), &server, Duration::from_secs(20)).await.unwrap();
        assert_eq!(result.outcome, Some(outcome));
    }
}
