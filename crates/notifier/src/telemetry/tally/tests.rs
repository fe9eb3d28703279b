use std::sync::Arc;

use wire::{BroadcastId, PartId};

use super::*;
use crate::model::Endpoint;
use crate::telemetry::families::{self, Others};

fn member(cluster: &str, service: &str, task: usize) -> Arc<Member> {
    let task = format!("arn:{service}/{task}");
    let account = "111122223333".to_owned();
    Arc::new(Member { service: service.to_owned(), account, ..Member::of_task(cluster, &task) })
}

fn id(name: &str) -> BroadcastId {
    name.parse().unwrap()
}

fn settled(
    member: Arc<Member>,
    outcome: Outcome,
    cause: Option<Cause>,
    status: Option<u16>,
) -> ProgressEvent {
    let (outcome, latency) = (Some(outcome), Some(Duration::from_millis(3)));
    let delivery = Delivery { member, outcome, cause, status, latency, ..Delivery::default() };
    ProgressEvent::Settled { broadcast: id("b"), trace: None, delivery, age: Some(Duration::from_secs(1)) }
}

fn delivered(cluster: &str, service: &str, task: usize) -> ProgressEvent {
    settled(member(cluster, service, task), Outcome::Delivered, None, Some(204))
}

fn retrying(task: usize, latency: Option<Duration>) -> ProgressEvent {
    let (cause, wait) = (Some(Cause::TimedOut), Duration::ZERO);
    let delivery = Delivery { member: member("prod", "web", task), cause, ..Delivery::default() };
    ProgressEvent::Retrying { broadcast: id("b"), trace: None, delivery, wait, latency, age: None }
}

fn tally(is_by_service: bool, events: impl IntoIterator<Item = ProgressEvent>) -> Tally {
    let mut tally = Tally::new(is_by_service);
    let now = Instant::now();
    events.into_iter().for_each(|event| tally.note(&event, now));
    tally
}

/// The names and values of the samples that begin like this.
fn samples(tally: &Tally, start: &str) -> Vec<String> {
    let text = families::text(tally, &Others::default());
    text.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
}

#[test]
fn each_delivery_counts_once_by_cluster_and_outcome() {
    let skipped = Delivery {
        member: member("prod", "web", 3),
        outcome: Some(Outcome::Skipped),
        cause: Some(Cause::Label),
        ..Delivery::default()
    };
    let tally = tally(
        false,
        [
            delivered("prod", "web", 1),
            delivered("prod", "api", 1),
            delivered("test", "web", 1),
            settled(member("prod", "web", 2), Outcome::Failed, Some(Cause::Answered), Some(503)),
            ProgressEvent::Skipped { broadcast: id("b"), trace: None, delivery: skipped },
        ],
    );
    let of = |cluster: &str, outcome: &str, count: u64| {
        format!(
            "ecs_task_notifier_deliveries_total{{account=\"111122223333\",region=\"\",cluster=\"{cluster}\",outcome=\"{outcome}\"}} {count}"
        )
    };
    let all = samples(&tally, "ecs_task_notifier_deliveries_total");
    assert_eq!(all.len(), 2 * Outcome::ALL.len());
    for expected in [
        of("prod", "delivered", 2),
        of("prod", "failed", 1),
        of("prod", "skipped", 1),
        of("prod", "gone", 0),
        of("test", "delivered", 1),
    ] {
        assert!(all.contains(&expected), "{expected} in {all:#?}");
    }
}

#[test]
fn only_attempts_that_made_a_request_count() {
    let web = |task| member("prod", "web", task);
    let given_up = Delivery {
        member: web(6),
        outcome: Some(Outcome::Failed),
        cause: Some(Cause::Answered),
        status: Some(503),
        ..Delivery::default()
    };
    let tally = tally(
        false,
        [
            retrying(1, Some(Duration::from_secs(3))),
            retrying(2, None),
            delivered("prod", "web", 1),
            settled(web(2), Outcome::Gone, Some(Cause::Stopped), None),
            settled(web(3), Outcome::Gone, Some(Cause::Stopped), Some(410)),
            settled(web(4), Outcome::Failed, Some(Cause::Unreachable), None),
            settled(web(5), Outcome::Failed, Some(Cause::Lost), None),
            ProgressEvent::Settled { broadcast: id("b"), trace: None, delivery: given_up, age: None },
        ],
    );
    let attempts = samples(&tally, "ecs_task_notifier_attempts_total");
    let of =
        |result: &str, count: u64| format!("ecs_task_notifier_attempts_total{{result=\"{result}\"}} {count}");
    assert_eq!(attempts, [of("accepted", 1), of("stopped", 1), of("timed-out", 1), of("unreachable", 1)]);
    assert_eq!(
        samples(&tally, "ecs_task_notifier_attempt_duration_seconds_c"),
        ["ecs_task_notifier_attempt_duration_seconds_count 4"]
    );
    assert_eq!(tally.retries, 2);
    assert_eq!(tally.with_outcome(Outcome::Failed), 3);
}

#[test]
fn names_are_bounded_and_no_delivery_is_lost() {
    let services = tally(true, (0..1_500).map(|n| delivered("prod", &format!("s{n:04}"), 0)));
    let all = services.deliveries();
    assert_eq!(all.len(), SERVICES_MAX + 1);
    let other = all.iter().find(|one| one.service == Some(OTHER)).unwrap();
    assert_eq!(other.counts[Outcome::Delivered as usize], 500);
    assert_eq!(services.with_outcome(Outcome::Delivered), 1_500);

    let clusters =
        tally(false, (0..300).flat_map(|n| [0, 1].map(|task| delivered(&format!("c{n:03}"), "web", task))));
    assert_eq!(clusters.deliveries().len(), CLUSTERS_MAX + 1);
    assert_eq!(clusters.with_outcome(Outcome::Delivered), 600);
}

fn services(name: &str, parts: &[&str], age: Option<Duration>) -> ProgressEvent {
    let parts = parts.iter().map(|part| PartId::derive([part])).collect();
    ProgressEvent::Services { broadcast: id(name), trace: None, parts, not_targeted: Vec::new(), age }
}

fn tasks(part: &str, count: usize) -> ProgressEvent {
    let endpoint = |task| Endpoint {
        member: member("prod", part, task),
        address: ([10, 0, 0, 1], 8080).into(),
        target: Arc::new(crate::model::labels::Target {
            port: std::num::NonZeroU16::MIN,
            path: "/n".to_owned(),
            scheme: wire::Scheme::Http,
            method: wire::Method::Post,
            content_mode: wire::ContentMode::Structured,
            server_name: None,
        }),
        is_starting: false,
        is_late: false,
        wave: None,
        zone: None,
    };
    let (broadcast, endpoints) = (id("b"), (0..count).map(endpoint).collect());
    let (part, service) = (PartId::derive([part]), part.to_owned());
    ProgressEvent::Tasks { broadcast, trace: None, part, service, endpoints, not_targeted: Vec::new() }
}

#[test]
fn a_broadcast_takes_from_its_request_to_its_last_outcome() {
    let mut tally = Tally::new(false);
    let start = Instant::now() + Duration::from_secs(60);
    let mut note = |after: u64, event: &ProgressEvent| {
        tally.note(event, start + Duration::from_secs(after));
        tally.broadcast_seconds.count()
    };
    assert_eq!(note(0, &services("b", &["web", "api"], Some(Duration::from_secs(2)))), 0);
    assert_eq!(note(1, &tasks("web", 2)), 0);
    assert_eq!(note(1, &delivered("prod", "web", 0)), 0);
    assert_eq!(note(2, &delivered("prod", "web", 0)), 0, "a repeat");
    assert_eq!(note(2, &delivered("prod", "web", 1)), 0, "a part is missing");
    assert_eq!(note(3, &tasks("api", 0)), 1);
    assert_eq!(note(9, &delivered("prod", "web", 1)), 1, "it is over");
    // Only one of several clusters; and a broadcast without any service.
    assert_eq!(note(9, &services("b", &[], None)), 1);
    assert_eq!(note(9, &services("b", &[], Some(Duration::ZERO))), 2);
    assert!((tally.broadcast_seconds.sum() - 5.0).abs() < 1e-9, "{:?}", tally.broadcast_seconds);
}

#[test]
fn open_broadcasts_are_bounded() {
    let age = Some(Duration::ZERO);
    let events = (0..1_000).map(|n| services(&format!("b{n}"), &["web"], age));
    let tally = tally(
        false,
        events.chain([services("b", &["web"], age), tasks("web", 1), delivered("prod", "web", 0)]),
    );
    assert_eq!(tally.broadcast_seconds.count(), 1, "the newest is followed");
}
