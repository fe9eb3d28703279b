//! Reports and states of small broadcasts.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use wire::{ContentMode, Method, PartId, Scheme};

use super::*;
use crate::model::labels::Target;
use crate::model::{Cause, Endpoint, Member, NotTargeted, NotTargetedReason, ProgressEvent, SkipReason};

fn id(text: &str) -> BroadcastId {
    BroadcastId::try_from(text.to_owned()).unwrap()
}

/// Container `web` of the task `service/number`.
fn member(task: &str) -> Arc<Member> {
    Arc::new(Member {
        cluster: "prod".into(),
        service: task.split('/').next().unwrap().into(),
        task: format!("arn:{task}"),
        container: "web".into(),
        task_definition: "arn:d:1".into(),
        ..Member::default()
    })
}

fn endpoint(task: &str) -> Endpoint {
    let port = NonZeroU16::new(80).unwrap();
    let target = Arc::new(Target {
        port,
        path: "/n".into(),
        scheme: Scheme::Http,
        method: Method::Post,
        content_mode: ContentMode::Structured,
        server_name: None,
    });
    Endpoint {
        member: member(task),
        address: "10.0.0.1:32768".parse().unwrap(),
        target,
        is_starting: false,
        is_late: false,
        wave: None,
        zone: None,
    }
}

/// The delivery of broadcast `b` to this task, which has ended.
fn delivery(task: &str, outcome: Outcome, millis: u64) -> Delivery {
    let reason = (outcome != Outcome::Delivered).then(|| "answered 503".to_owned());
    Delivery {
        outcome: Some(outcome),
        cause: reason.is_some().then_some(Cause::Answered),
        reason,
        attempts: Some(2),
        status: Some(if outcome == Outcome::Delivered { 204 } else { 503 }),
        latency: Some(Duration::from_millis(millis)),
        ..Delivery::from(&endpoint(task))
    }
}

fn settled(task: &str, outcome: Outcome, millis: u64) -> ProgressEvent {
    ProgressEvent::Settled {
        broadcast: id("b"),
        trace: None,
        delivery: delivery(task, outcome, millis),
        age: None,
    }
}

fn skip(task: &str) -> Delivery {
    let reason = SkipReason::new(Cause::NetworkModeNone, "network mode `none` has no address");
    Delivery::skipped(member(task), reason)
}

fn skipped(task: &str) -> ProgressEvent {
    ProgressEvent::Skipped { broadcast: id("b"), trace: None, delivery: skip(task) }
}

fn retrying(broadcast: &str, task: &str) -> ProgressEvent {
    let delivery = Delivery {
        reason: Some("answered 503".to_owned()),
        attempts: Some(1),
        ..Delivery::from(&endpoint(task))
    };
    ProgressEvent::Retrying {
        broadcast: id(broadcast),
        trace: None,
        delivery,
        wait: Duration::from_millis(150),
        latency: None,
        age: None,
    }
}

fn part(name: &str) -> PartId {
    PartId::derive([name])
}

fn services(parts: &[&str]) -> ProgressEvent {
    let parts = parts.iter().map(|name| part(name)).collect();
    ProgressEvent::Services { broadcast: id("b"), trace: None, parts, not_targeted: Vec::new(), age: None }
}

/// Part `name` has these tasks.
fn tasks(name: &str, tasks: &[&str]) -> ProgressEvent {
    let endpoints = tasks.iter().map(|task| endpoint(task)).collect();
    let service = name.to_owned();
    ProgressEvent::Tasks {
        broadcast: id("b"),
        trace: None,
        part: part(name),
        service,
        endpoints,
        not_targeted: Vec::new(),
    }
}

fn state(events: impl IntoIterator<Item = ProgressEvent>) -> BroadcastState {
    let mut state = BroadcastState::new(id("b"));
    events.into_iter().for_each(|event| state.note(&event));
    state
}

#[test]
fn a_report_counts_each_service_by_itself_with_all_attempts_and_the_latency_of_what_was_delivered() {
    let tried = |task: &str, outcome, attempts, millis| Delivery {
        attempts: Some(attempts),
        ..delivery(task, outcome, millis)
    };
    let report = Report::new(
        id("b"),
        vec![
            tried("web/2", Outcome::Delivered, 1, 30),
            tried("web/1", Outcome::Delivered, 1, 10),
            tried("web/3", Outcome::Failed, 9, 900),
            skip("web/4"),
            tried("api/1", Outcome::Rejected, 2, 900),
            Delivery::from(&endpoint("idle/1")),
        ],
    );
    let figures = |p: Percentiles<u32>| [p.p50, p.p99, p.max];
    let services: Vec<_> = report
        .services()
        .into_iter()
        .map(|s| {
            let latency = s.latency.map(|latency| latency.max.as_millis());
            (s.key.service, s.counts.notified(), s.counts.total(), latency, s.attempts.map(figures))
        })
        .collect();
    assert_eq!(
        services,
        [
            ("api", 0, 1, None, Some([2, 2, 2])),
            ("idle", 0, 1, None, None),
            ("web", 2, 4, Some(30), Some([1, 9, 9]))
        ]
    );
    assert_eq!(report.attempts().map(figures), Some([1, 9, 9]));
    assert_eq!(
        report.counts(),
        Counts { delivered: 2, rejected: 1, failed: 1, skipped: 1, pending: 1, ..Counts::default() }
    );
}

/// Container `web` of task `n` of the service `web`, in the cluster `prod` of this account.
fn of_account(account: &str, n: u32) -> Arc<Member> {
    let task = format!("arn:aws:ecs:eu-west-1:{account}:task/prod/{n:032x}");
    let (service, container) = ("web".to_owned(), "web".to_owned());
    Arc::new(Member { service, container, ..Member::of_task("prod", &task) })
}

/// What a report and a followed broadcast say of each service.
fn counted(report: &Report, state: &BroadcastState) -> Vec<(String, Counts)> {
    let name = |key: ServiceKey<'_>| format!("{} {} {}", key.account, key.cluster, key.service);
    let followed: Vec<_> = state.services().into_iter().map(|(key, counts)| (name(key), counts)).collect();
    let reported: Vec<_> = report.services().into_iter().map(|one| (name(one.key), one.counts)).collect();
    assert_eq!(followed, reported);
    reported
}

#[test]
fn equal_names_of_two_clusters_never_merge() {
    let delivery = |account, n, outcome| Delivery {
        member: of_account(account, n),
        outcome: Some(outcome),
        ..Delivery::default()
    };
    let entries = vec![
        delivery("444455556666", 1, Outcome::Failed),
        delivery("111122223333", 1, Outcome::Delivered),
        delivery("111122223333", 2, Outcome::Delivered),
        // An ARN names the same cluster as its name.
        Delivery {
            member: Arc::new(Member {
                cluster: "arn:aws:ecs:eu-west-1:111122223333:cluster/prod".to_owned(),
                ..Member::clone(&of_account("111122223333", 3))
            }),
            ..delivery("111122223333", 3, Outcome::Delivered)
        },
    ];
    let events = entries.iter().map(|delivery| ProgressEvent::Settled {
        broadcast: id("b"),
        trace: None,
        delivery: delivery.clone(),
        age: None,
    });
    assert_eq!(
        counted(&Report::new(id("b"), entries.clone()), &state(events)),
        [
            ("111122223333 prod web".to_owned(), Counts { delivered: 3, ..Counts::default() }),
            ("444455556666 prod web".to_owned(), Counts { failed: 1, ..Counts::default() }),
        ]
    );
}

#[test]
fn a_service_whose_account_is_unknown_is_its_clusters() {
    let unknown = Arc::new(Member::of_service("prod", "wbe", ""));
    let unseen = Delivery { member: Arc::new(Member::of_service("prod", "web", "")), ..Delivery::default() };
    let entries = vec![
        Delivery::skipped(unknown, SkipReason::no_such_service()),
        Delivery {
            outcome: Some(Outcome::Delivered),
            member: of_account("111122223333", 1),
            ..unseen.clone()
        },
        unseen,
    ];
    let events = entries.iter().map(|delivery| ProgressEvent::Settled {
        broadcast: id("b"),
        trace: None,
        delivery: delivery.clone(),
        age: None,
    });
    let report = Report::new(id("b"), entries.clone());
    assert_eq!(
        counted(&report, &state(events)),
        [
            ("111122223333 prod wbe".to_owned(), Counts { skipped: 1, ..Counts::default() }),
            ("111122223333 prod web".to_owned(), Counts { delivered: 1, pending: 1, ..Counts::default() }),
        ]
    );
    assert!(report.lines().iter().all(|line| line.account == Some("111122223333")));
}

#[test]
fn a_broadcast_misses_nobody_when_each_is_delivered_or_gone_and_one_that_notifies_nobody_is_no_success() {
    use Verdict::{Missed, Nobody, Notified};

    let verdict = |outcomes: &[Option<Outcome>]| {
        let mut counts = Counts::default();
        for outcome in outcomes {
            counts.add(*outcome);
        }
        (counts.verdict(false), counts.verdict(true))
    };
    let (delivered, skipped) = (Some(Outcome::Delivered), Some(Outcome::Skipped));
    assert_eq!(verdict(&[delivered, Some(Outcome::Gone)]), (Notified, Notified));
    assert_eq!(verdict(&[delivered, skipped]), (Missed, Notified));
    assert_eq!(verdict(&[]), (Nobody, Nobody));
    assert_eq!(verdict(&[skipped, skipped]), (Missed, Nobody));
    for wrong in [Some(Outcome::Rejected), Some(Outcome::Failed), None] {
        assert_eq!(verdict(&[delivered, wrong]), (Missed, Missed));
    }
}

#[test]
fn a_broadcast_is_complete_when_all_parts_were_seen_and_all_deliveries_ended() {
    let mut state = state([tasks("web", &["web/1", "web/2"]), settled("web/1", Outcome::Gone, 1)]);
    assert!(!state.is_complete(), "stage 1 has not reported the number of parts");
    state.note(&services(&["web", "api"]));
    assert!(!state.is_complete(), "a part is missing");
    state.note(&tasks("web", &[]));
    assert!(!state.is_complete(), "the repeat of one part is not the other part");
    state.note(&tasks("api", &[]));
    assert!(!state.is_complete(), "a delivery is missing");
    state.note(&settled("web/2", Outcome::Rejected, 1));
    assert!(state.is_complete());
    assert_eq!(state.report().counts(), Counts { gone: 1, rejected: 1, ..Counts::default() });
}

#[test]
fn a_scope_without_opted_in_services_is_complete_after_stage_1() {
    assert!(state([services(&[])]).is_complete());
    assert!(!state([]).is_complete());
}

#[test]
fn repeats_count_once_and_of_two_ends_the_better_one_counts() {
    let state = state([
        services(&["web", "api"]),
        tasks("web", &["web/1"]),
        tasks("web", &["web/1"]),
        skipped("api/1"),
        skipped("api/1"),
        settled("web/1", Outcome::Failed, 1),
        settled("web/1", Outcome::Delivered, 1),
        settled("web/1", Outcome::Failed, 1),
    ]);
    assert!(!state.is_complete(), "the repeat of one part is not the other part");
    let expected = Counts { delivered: 1, skipped: 1, ..Counts::default() };
    assert_eq!(state.report().counts(), expected);
    let services: Vec<_> = state.services().into_iter().map(|(key, counts)| (key.service, counts)).collect();
    assert_eq!(
        services,
        [
            ("api", Counts { skipped: 1, ..Counts::default() }),
            ("web", Counts { delivered: 1, ..Counts::default() })
        ]
    );
}

#[test]
fn a_delivery_that_ends_before_its_part_is_known_counts_once() {
    let state = state([
        settled("web/1", Outcome::Delivered, 1),
        tasks("web", &["web/1", "web/2"]),
        services(&["web"]),
    ]);
    let counts: Vec<_> = state.services().into_values().collect();
    assert_eq!(counts, [Counts { delivered: 1, pending: 1, ..Counts::default() }]);
    assert_eq!(state.report().counts(), counts[0]);
}

#[test]
fn retries_are_counted_while_they_wait() {
    let retry = retrying("b", "web/1");
    let mut state = state([retry.clone(), tasks("web", &["web/1"]), retry.clone(), retry.clone()]);
    assert_eq!(state.retrying().len(), 1);
    state.note(&settled("web/1", Outcome::Delivered, 1));
    state.note(&retry);
    state.note(&tasks("web", &["web/2"]));
    state.note(&retrying("other", "web/2"));
    assert_eq!(state.retrying().len(), 0);
}

#[test]
fn the_next_retry_is_due_after_its_wait_until_it_is_made() {
    let now = std::time::Instant::now();
    let mut state = state([tasks("web", &["web/1", "web/2"])]);
    state.note_at(&retrying("b", "web/1"), now);
    state.note_at(&retrying("b", "web/2"), now + Duration::from_millis(100));
    let due = |state: &BroadcastState, millis| {
        state.retry_due(now + Duration::from_millis(millis)).map(|due| (due - now).as_millis())
    };
    assert_eq!(due(&state, 0), Some(150));
    assert_eq!(due(&state, 150), Some(250), "the first is being made");
    assert_eq!(due(&state, 250), None);
    state.note(&settled("web/1", Outcome::Delivered, 1));
    assert_eq!(due(&state, 0), Some(250));
    let pending: Vec<_> = state.pending().into_iter().map(|member| member.task.as_str()).collect();
    assert_eq!(pending, ["arn:web/2"]);
}

#[test]
fn a_container_that_is_not_called_any_more_is_skipped_and_no_longer_waited_for() {
    let mut state = state([services(&["web"]), tasks("web", &["web/1", "web/2"])]);
    state.note(&settled("web/1", Outcome::Delivered, 1));
    state.note(&skipped("web/2"));
    assert!(state.is_complete());
    assert_eq!(state.report().counts(), Counts { delivered: 1, skipped: 1, ..Counts::default() });
}

#[test]
fn other_broadcasts_are_none_of_its_business() {
    let delivery = delivery("web/1", Outcome::Delivered, 1);
    let other = ProgressEvent::Settled { broadcast: id("other"), trace: None, delivery, age: None };
    let not_targeted = NotTargeted { member: member("web/1"), reason: NotTargetedReason::NotOptedIn };
    let state = state([
        other,
        ProgressEvent::Services {
            broadcast: id("other"),
            trace: None,
            parts: Vec::new(),
            not_targeted: vec![not_targeted],
            age: None,
        },
    ]);
    assert!(!state.is_complete());
    assert!(state.not_targeted().is_empty());
    assert_eq!(state.report().counts().total(), 0);
}

/// The events of a step as JSON lines.
fn lines(step: &ProgressEvent) -> Vec<String> {
    let time = time::OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1_795_512_600_042);
    events(step, Some(time)).iter().map(|event| serde_json::to_string(event).unwrap()).collect()
}

#[test]
fn a_step_is_one_line_and_one_more_for_each_endpoint_that_is_expected() {
    let time = r#""time":"2026-11-24T09:30:00.042Z""#;
    assert_eq!(
        lines(&services(&["web", "api"])),
        [format!(r#"{{{time},"kind":"services","broadcast":"b","parts":2,"bystanders":0}}"#)]
    );
    let found = lines(&tasks("web", &["web/1", "web/2"]));
    assert_eq!(
        found[0],
        format!(r#"{{{time},"kind":"tasks","broadcast":"b","service":"web","endpoints":2,"bystanders":0}}"#)
    );
    assert_eq!(
        found[1],
        format!(
            r#"{{{time},"kind":"expected","broadcast":"b","account":null,"region":null,"cluster":"prod","service":"web","task":"arn:web/1","container":"web","address":"10.0.0.1:32768","outcome":null,"reason":null,"attempts":null,"status":null,"latency_ms":null,"cause":null,"advice":null,"zone":null}}"#
        )
    );
    assert_eq!(found.len(), 3);
}

#[test]
fn events_of_one_container_have_the_names_of_the_report() {
    let failed = delivery("web/1", Outcome::Failed, 3);
    let of_report = serde_json::to_string(&Line::of_delivery(&failed, Some(&id("b")))).unwrap();
    let [event] = lines(&settled("web/1", Outcome::Failed, 3)).try_into().unwrap();
    let (_, rest) = event.split_once(r#""kind":"settled","#).unwrap();
    assert_eq!(format!("{{{rest}"), of_report);

    let [event] = lines(&skipped("web/3")).try_into().unwrap();
    assert!(event.contains(r#""kind":"skipped","broadcast":"b","#), "{event}");
    assert!(event.contains(r#""outcome":"skipped","#) && event.contains(r#""cause":"network-mode-none""#));

    let [event] = lines(&retrying("b", "web/1")).try_into().unwrap();
    assert!(event.contains(r#""kind":"retrying","broadcast":"b","#), "{event}");
    assert!(
        event.contains(r#""reason":"answered 503","attempts":1,"#) && event.ends_with(r#""wait_ms":150.0}"#)
    );
}

#[test]
fn counts_are_an_event_too_for_whoever_reads_a_ledger() {
    let report = Report::new(id("b"), vec![Delivery::from(&endpoint("web/1"))]);
    let event = Event::counts(&report, false, None);
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"time":null,"kind":"counts","broadcast":"b","complete":false,"total":1,"delivered":0,"rejected":0,"failed":0,"gone":0,"skipped":0,"pending":1}"#
    );
}
