//! Reports and tallies of small broadcasts.

use std::num::NonZeroU16;
use std::time::Duration;

use wire::{ContentMode, Method, PartId, Scheme};

use super::*;
use crate::fleet::{Bystander, BystanderReason, Endpoint, Member, Skip, SkipReason};
use crate::labels::Target;
use crate::outcome::{DeliveryResult, Settled, Skipped};
use crate::progress::Step;

fn id(text: &str) -> BroadcastId {
    BroadcastId::try_from(text.to_owned()).unwrap()
}

/// Container `web` of the task `service/number`.
fn member(task: &str) -> Member {
    Member {
        cluster: "prod".into(),
        service: task.split('/').next().unwrap().into(),
        task: format!("arn:{task}"),
        task_definition: "arn:d:1".into(),
        container: "web".into(),
    }
}

fn endpoint(task: &str) -> Endpoint {
    let port = NonZeroU16::new(80).unwrap();
    let target = Target {
        port,
        path: "/n".into(),
        scheme: Scheme::Http,
        method: Method::Post,
        content_mode: ContentMode::Structured,
        server_name: None,
    };
    Endpoint { member: member(task), address: "10.0.0.1:32768".parse().unwrap(), target }
}

fn settled(task: &str, outcome: Outcome, millis: u64) -> Settled {
    let reason = (outcome != Outcome::Delivered).then(|| "answered 503".to_owned());
    let status = Some(if outcome == Outcome::Delivered { 204 } else { 503 });
    let latency = Duration::from_millis(millis);
    let result = DeliveryResult { outcome, reason, attempts: 2, status, latency };
    Settled { broadcast: id("b"), endpoint: endpoint(task), result }
}

fn skipped(task: &str) -> Skipped {
    Skipped { broadcast: id("b"), skip: Skip { member: member(task), reason: SkipReason::NoNetwork } }
}

fn part(name: &str) -> PartId {
    PartId::derive([name])
}

fn services(parts: &[&str]) -> Step {
    let parts = parts.iter().map(|name| part(name)).collect();
    Step::Services { broadcast: id("b"), parts, bystanders: Vec::new() }
}

/// Part `name` has these tasks.
fn tasks(name: &str, tasks: &[&str]) -> Step {
    let endpoints = tasks.iter().map(|task| endpoint(task)).collect();
    let service = name.to_owned();
    Step::Tasks { broadcast: id("b"), part: part(name), service, endpoints, bystanders: Vec::new() }
}

fn tally(steps: impl IntoIterator<Item = Step>) -> Tally {
    let mut tally = Tally::new(id("b"));
    steps.into_iter().for_each(|step| tally.note(step));
    tally
}

#[test]
fn a_report_counts_each_service_by_itself() {
    let report = Report::new(
        id("b"),
        vec![
            Entry::from(&settled("web/2", Outcome::Delivered, 30)),
            Entry::from(&settled("web/1", Outcome::Delivered, 10)),
            Entry::from(&settled("api/1", Outcome::Failed, 900)),
            Entry::from(&skipped("web/3").skip),
            Entry::from(&endpoint("api/2")),
        ],
    );
    let services: Vec<_> = report
        .services()
        .into_iter()
        .map(|s| (s.service, s.counts.told(), s.counts.total(), s.latency.map(|l| l.max.as_millis())))
        .collect();
    assert_eq!(services, [("api", 0, 2, None), ("web", 2, 3, Some(30))]);
    assert_eq!(
        report.counts(),
        Counts { delivered: 2, failed: 1, skipped: 1, pending: 1, ..Counts::default() }
    );
}

#[test]
fn lines_are_what_scripts_read_with_null_for_the_unknown() {
    let skip = Entry::from(&skipped("web/3").skip);
    let report = Report::new(id("b"), vec![skip, Entry::from(&settled("web/1", Outcome::Delivered, 10))]);
    let json: Vec<_> = report.lines().iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert_eq!(
        json,
        [
            r#"{"broadcast":"b","cluster":"prod","service":"web","task":"arn:web/1","container":"web","address":"10.0.0.1:32768","outcome":"delivered","reason":null,"attempts":2,"status":204,"latency_ms":10.0}"#,
            r#"{"broadcast":"b","cluster":"prod","service":"web","task":"arn:web/3","container":"web","address":null,"outcome":"skipped","reason":"network mode `none` has no address","attempts":null,"status":null,"latency_ms":null}"#,
        ]
    );
    assert_eq!(
        serde_json::to_string(&report.summary()).unwrap(),
        r#"{"broadcast":"b","total":2,"delivered":1,"rejected":0,"failed":0,"gone":0,"skipped":1,"pending":0,"latency_ms":{"p50":10.0,"p99":10.0,"max":10.0}}"#
    );
}

#[test]
fn all_are_told_when_each_was_delivered_to_or_is_gone_and_skips_count_unless_forgiven() {
    let all_told = |outcomes: &[Option<Outcome>]| {
        let mut counts = Counts::default();
        for outcome in outcomes {
            counts.add(*outcome);
        }
        (counts.all_told(false), counts.all_told(true))
    };
    assert_eq!(all_told(&[]), (true, true));
    assert_eq!(all_told(&[Some(Outcome::Delivered), Some(Outcome::Gone)]), (true, true));
    assert_eq!(all_told(&[Some(Outcome::Delivered), Some(Outcome::Skipped)]), (false, true));
    for wrong in [Some(Outcome::Rejected), Some(Outcome::Failed), None] {
        assert_eq!(all_told(&[Some(Outcome::Delivered), wrong]), (false, false));
    }
}

#[test]
fn a_broadcast_is_complete_when_all_parts_were_seen_and_all_deliveries_ended() {
    let mut tally =
        tally([tasks("web", &["web/1", "web/2"]), Step::Settled(settled("web/1", Outcome::Gone, 1))]);
    assert!(!tally.is_complete(), "stage 1 has not told how many parts there are");
    tally.note(services(&["web", "api"]));
    assert!(!tally.is_complete(), "a part is missing");
    tally.note(tasks("web", &[]));
    assert!(!tally.is_complete(), "the repeat of one part is not the other part");
    tally.note(tasks("api", &[]));
    assert!(!tally.is_complete(), "a delivery is missing");
    tally.note(Step::Settled(settled("web/2", Outcome::Rejected, 1)));
    assert!(tally.is_complete());
    assert_eq!(tally.report().counts(), Counts { gone: 1, rejected: 1, ..Counts::default() });
}

#[test]
fn a_scope_without_opted_in_services_is_complete_after_stage_1() {
    assert!(tally([services(&[])]).is_complete());
    assert!(!tally([]).is_complete());
}

#[test]
fn repeats_count_once_and_of_two_ends_the_better_one_counts() {
    let tally = tally([
        services(&["web", "api"]),
        tasks("web", &["web/1"]),
        tasks("web", &["web/1"]),
        Step::Skipped(skipped("api/1")),
        Step::Skipped(skipped("api/1")),
        Step::Settled(settled("web/1", Outcome::Failed, 1)),
        Step::Settled(settled("web/1", Outcome::Delivered, 1)),
        Step::Settled(settled("web/1", Outcome::Failed, 1)),
    ]);
    assert!(!tally.is_complete(), "the repeat of one part is not the other part");
    let expected = Counts { delivered: 1, skipped: 1, ..Counts::default() };
    assert_eq!(tally.report().counts(), expected);
    let services: Vec<_> = tally.services().collect();
    assert_eq!(
        services,
        [
            ("api", Counts { skipped: 1, ..Counts::default() }),
            ("web", Counts { delivered: 1, ..Counts::default() })
        ]
    );
}

#[test]
fn a_delivery_that_ends_before_its_part_is_told_counts_once() {
    let tally = tally([
        Step::Settled(settled("web/1", Outcome::Delivered, 1)),
        tasks("web", &["web/1", "web/2"]),
        services(&["web"]),
    ]);
    let counts: Vec<_> = tally.services().map(|(_, counts)| counts).collect();
    assert_eq!(counts, [Counts { delivered: 1, pending: 1, ..Counts::default() }]);
    assert_eq!(tally.report().counts(), counts[0]);
}

#[test]
fn retries_are_counted_while_they_wait() {
    let retry =
        Step::Retrying { endpoint: endpoint("web/1"), attempt: 1, reason: "r".into(), wait: Duration::ZERO };
    let mut tally = tally([retry.clone(), tasks("web", &["web/1"]), retry.clone(), retry.clone()]);
    assert_eq!(tally.retrying(), 1);
    tally.note(Step::Settled(settled("web/1", Outcome::Delivered, 1)));
    tally.note(retry);
    assert_eq!(tally.retrying(), 0);
}

#[test]
fn a_container_that_is_not_called_any_more_is_skipped_and_no_longer_waited_for() {
    let mut tally = tally([services(&["web"]), tasks("web", &["web/1", "web/2"])]);
    tally.note(Step::Settled(settled("web/1", Outcome::Delivered, 1)));
    tally.note(Step::Skipped(skipped("web/2")));
    assert!(tally.is_complete());
    assert_eq!(tally.report().counts(), Counts { delivered: 1, skipped: 1, ..Counts::default() });
}

#[test]
fn other_broadcasts_are_none_of_its_business() {
    let other = Settled { broadcast: id("other"), ..settled("web/1", Outcome::Delivered, 1) };
    let bystander = Bystander { member: member("web/1"), reason: BystanderReason::NotOptedIn };
    let tally = tally([
        Step::Settled(other),
        Step::Services { broadcast: id("other"), parts: Vec::new(), bystanders: vec![bystander] },
    ]);
    assert!(!tally.is_complete());
    assert!(tally.bystanders().is_empty());
    assert_eq!(tally.report().counts().total(), 0);
}
