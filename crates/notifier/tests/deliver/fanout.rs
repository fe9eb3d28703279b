//! Many deliveries at once: bounded, in order, and none in the way of another.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use notifier::base::Clock;
use notifier::deliver::DeliveryOptions;
use notifier::model::Endpoint;
use notifier::model::{Cause, Delivery, Outcome};
use notifier::model::{Progress, ProgressEvent};
use tokio_util::sync::CancellationToken;

use crate::server::{Act, Server, reply};
use crate::support::{
    broadcast, deliver_all, deliver_to, deliver_until, deliverer, deliverer_at, deserted, endpoint, hasty,
    ms, patient, recorder,
};

fn outcomes(settled: &[Delivery]) -> Vec<Outcome> {
    settled.iter().map(|settled| settled.outcome.unwrap()).collect()
}

/// The delivery whose end this event is.
fn ended(event: &ProgressEvent) -> Option<&Delivery> {
    if let ProgressEvent::Settled { delivery, .. } = event { Some(delivery) } else { None }
}

/// This number of tasks behind one server, with different ARNs.
fn tasks(server: &Server, count: usize) -> Vec<Endpoint> {
    (0..count)
        .map(|n| {
            let mut endpoint = endpoint(server.address);
            Arc::make_mut(&mut endpoint.member).task = format!("arn:task/{n}");
            endpoint
        })
        .collect()
}

fn slowly(head: &str, pause: Duration) -> Vec<Act> {
    let mut script = reply(head, "");
    script.insert(1, Act::Pause(pause));
    script
}

#[tokio::test]
async fn a_scope_without_endpoints_ends_at_once() {
    assert_eq!(deliver_all(&deliverer(&patient()), &broadcast(), vec![], &Progress::default()).await, []);
}

#[tokio::test]
async fn every_endpoint_has_its_own_end() {
    let slow = Server::playing(vec![slowly("200 OK", ms(150))]).await;
    let refusing = Server::answering("400 Bad Request").await;
    let gone = Server::answering("410 Gone").await;
    let failing = Server::answering("500 x").await;
    let mut endpoints: Vec<_> =
        [slow.address, refusing.address, deserted(), gone.address, failing.address, slow.address]
            .map(endpoint)
            .into();
    Arc::make_mut(&mut endpoints[5].member).task.push_str("-other");
    let (progress, steps) = recorder();
    let settled = deliver_all(&deliverer(&patient()), &broadcast(), endpoints.clone(), &progress).await;
    let expected = [
        Outcome::Delivered,
        Outcome::Rejected,
        Outcome::Failed,
        Outcome::Gone,
        Outcome::Failed,
        Outcome::Delivered,
    ];
    assert_eq!(outcomes(&settled), expected);
    let addresses: Vec<_> = settled.iter().map(|delivery| delivery.address.unwrap()).collect();
    assert_eq!(addresses, endpoints.iter().map(|endpoint| endpoint.address).collect::<Vec<_>>());

    let steps = steps.lock().unwrap();
    let retries = steps.iter().filter(|step| matches!(step, ProgressEvent::Retrying { .. })).count();
    assert_eq!(retries, 4, "two for each that failed");
    let told: Vec<_> = steps.iter().filter_map(ended).collect();
    assert_eq!(told.len(), settled.len());
    assert!(settled.iter().all(|settled| told.contains(&settled)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_concurrency_is_used_and_never_exceeded() {
    let server = Server::playing(vec![slowly("200 OK", ms(20))]).await;
    let deliverer = deliverer(&DeliveryOptions { concurrency: 7, ..patient() });
    let settled = deliver_all(&deliverer, &broadcast(), tasks(&server, 100), &Progress::default()).await;
    assert!(outcomes(&settled).iter().all(|outcome| *outcome == Outcome::Delivered));
    assert_eq!((server.seen().len(), server.most_open()), (100, 7));
    let ids: HashSet<_> =
        server.seen().iter().map(|seen| seen.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clones_and_single_deliveries_share_one_limit() {
    let server = Server::playing(vec![slowly("200 OK", ms(20))]).await;
    let deliverer = deliverer(&DeliveryOptions { concurrency: 3, ..patient() });
    let (broadcast, progress, other) = (broadcast(), Progress::default(), deliverer.clone());
    let (one, two, three) = tokio::join!(
        deliver_all(&deliverer, &broadcast, tasks(&server, 20), &progress),
        deliver_all(&other, &broadcast, tasks(&server, 20), &progress),
        deliver_to(&other, &broadcast, endpoint(server.address)),
    );
    assert_eq!((one.len(), two.len(), three.outcome), (20, 20, Some(Outcome::Delivered)));
    assert_eq!(server.most_open(), 3);
}

/// Cancels it once this is so.
async fn stop_when(stop: &CancellationToken, is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(ms(5)).await;
    }
    stop.cancel();
}

#[tokio::test]
async fn when_nobody_else_is_to_be_called_whoever_is_being_called_may_still_answer() {
    let server = Server::playing(vec![slowly("200 OK", ms(300))]).await;
    let options = DeliveryOptions { concurrency: 1, grace: Duration::from_secs(60), ..patient() };
    let (deliverer, stop, broadcast) = (deliverer(&options), CancellationToken::new(), broadcast());
    let progress = Progress::default();
    let (ended, ()) = tokio::join!(
        deliver_until(&deliverer, &broadcast, tasks(&server, 2), &progress, &stop),
        stop_when(&stop, || !server.seen().is_empty()),
    );
    let (settled, unsettled) = ended;
    assert_eq!(outcomes(&settled), [Outcome::Delivered]);
    assert_eq!(server.seen().len(), 1, "the other is not called");
    let [other] = unsettled.try_into().unwrap();
    assert_eq!((other.member.task.as_str(), other.outcome, other.attempts), ("arn:task/1", None, None));
    assert_eq!(other.cause, Some(Cause::Interrupted));
    assert_eq!(other.reason.as_deref(), Some("interrupted before the call"));
}

#[tokio::test]
async fn whoever_does_not_answer_within_the_grace_or_waits_for_another_attempt_has_no_outcome() {
    let silent = Server::playing(vec![vec![Act::Read, Act::Hang]]).await;
    let failing = Server::answering("503 x").await;
    let wait = Duration::from_secs(600);
    let options = DeliveryOptions { wait_first: wait, wait_most: wait, grace: ms(50), ..patient() };
    let (deliverer, stop, broadcast) = (deliverer(&options), CancellationToken::new(), broadcast());
    let (progress, steps) = recorder();
    let endpoints = vec![endpoint(silent.address), endpoint(failing.address)];
    let (ended, ()) = tokio::join!(
        deliver_until(&deliverer, &broadcast, endpoints, &progress, &stop),
        stop_when(&stop, || !silent.seen().is_empty() && !steps.lock().unwrap().is_empty()),
    );
    let (settled, unsettled) = ended;
    assert_eq!(settled, []);
    let told: Vec<_> = unsettled
        .iter()
        .map(|entry| (entry.outcome, entry.attempts, entry.status, entry.reason.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (None, Some(1), None, "interrupted before the answer: the event may have been accepted"),
            (
                None,
                Some(1),
                Some(503),
                "interrupted before another attempt: answered 503 Service Unavailable"
            ),
        ]
    );
    assert_eq!(steps.lock().unwrap().len(), 1, "no event follows the planned retry");
}

#[tokio::test]
async fn everybody_is_called_once_before_anybody_is_called_again() {
    let server = Server::answering("500 x").await;
    let options = DeliveryOptions {
        concurrency: 1,
        wait_first: Duration::ZERO,
        wait_most: Duration::ZERO,
        ..patient()
    };
    let settled =
        deliver_all(&deliverer(&options), &broadcast(), tasks(&server, 30), &Progress::default()).await;
    assert!(settled.iter().all(|settled| settled.attempts == Some(3)));
    let ids: Vec<_> =
        server.seen().iter().map(|seen| seen.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 90);
    let first_calls: HashSet<_> = ids[..30].iter().collect();
    assert_eq!(first_calls.len(), 30);
}

#[tokio::test]
async fn a_delivery_that_waits_holds_no_slot() {
    let busy = Server::playing(vec![reply("503 x\r\nretry-after: 1", ""), reply("200 OK", "")]).await;
    let fine = Server::answering("200 OK").await;
    let deliverer = deliverer(&DeliveryOptions { concurrency: 1, ..patient() });
    let mut endpoints = vec![endpoint(busy.address)];
    endpoints.extend(tasks(&fine, 10));
    let settled = deliver_all(&deliverer, &broadcast(), endpoints, &Progress::default()).await;
    assert!(outcomes(&settled).iter().all(|outcome| *outcome == Outcome::Delivered));
    let second_try = busy.seen()[1].at;
    assert!(fine.seen().iter().all(|seen| seen.at < second_try));

    let busy = Server::playing(vec![reply("503 x\r\nretry-after: 1", ""), reply("200 OK", "")]).await;
    let (first, second) = (endpoint(busy.address), endpoint(fine.address));
    let broadcast = broadcast();
    tokio::join!(deliver_to(&deliverer, &broadcast, first), async {
        while busy.seen().is_empty() {
            tokio::time::sleep(ms(1)).await;
        }
        deliver_to(&deliverer, &broadcast, second).await
    });
    assert!(fine.seen()[10].at < busy.seen()[1].at);
}

#[tokio::test]
async fn tasks_that_hang_cost_their_neighbours_nothing() {
    let hung = Server::playing(vec![vec![Act::Hang]]).await;
    let fine = Server::answering("200 OK").await;
    let deliverer = deliverer(&DeliveryOptions { concurrency: 8, ..hasty() });
    let mut endpoints = tasks(&hung, 4);
    endpoints.extend(tasks(&fine, 40));
    let (progress, steps) = recorder();
    let settled = deliver_all(&deliverer, &broadcast(), endpoints, &progress).await;
    assert_eq!(outcomes(&settled[..4]), [Outcome::Failed; 4]);
    assert_eq!(outcomes(&settled[4..]), [Outcome::Delivered; 40]);
    let steps = steps.lock().unwrap();
    let order: Vec<_> = steps.iter().filter_map(|event| ended(event)?.outcome).collect();
    assert_eq!(order[40..], [Outcome::Failed; 4], "the other slots serve all other tasks");
}

#[tokio::test]
async fn an_attempt_that_panics_fails_alone() {
    let server = Server::answering("200 OK").await;
    let reads = AtomicUsize::new(0);
    let clock = Clock::from_fn(move || {
        assert!(reads.fetch_add(1, Ordering::SeqCst) != 2, "the clock stopped");
        SystemTime::UNIX_EPOCH
    });
    let deliverer = deliverer_at(&DeliveryOptions { concurrency: 1, ..patient() }, clock);
    let settled = deliver_all(&deliverer, &broadcast(), tasks(&server, 5), &Progress::default()).await;
    let mut expected = [Outcome::Delivered; 5];
    expected[2] = Outcome::Failed;
    assert_eq!(outcomes(&settled), expected);
    assert_eq!(settled[2].reason.as_deref(), Some("bug in the notifier: the clock stopped"));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn dropping_the_broadcast_ends_its_attempts() {
    let server = Server::playing(vec![vec![Act::Read, Act::Hang]]).await;
    let deliverer = deliverer(&DeliveryOptions { concurrency: 5, ..patient() });
    let (broadcast, progress) = (broadcast(), Progress::default());
    let running = deliver_all(&deliverer, &broadcast, tasks(&server, 20), &progress);
    tokio::select! {
        _ = running => panic!("nobody answered"),
        () = async { while server.seen().len() < 5 { tokio::time::sleep(ms(1)).await } } => {}
    }
    // The slots are free again, and no other task was called.
    let fine = Server::answering("200 OK").await;
    let settled = deliver_all(&deliverer, &broadcast, tasks(&fine, 20), &progress).await;
    assert_eq!(outcomes(&settled), [Outcome::Delivered; 20]);
    assert_eq!(server.connections(), 5);
}
