//! The classification of small tasks.

use std::collections::HashMap;

use super::*;
use crate::model::labels::{PATH, PORT};
use crate::model::{NetworkInterface, Revision, STOPPED};

/// A container with labels for this port.
fn spec(name: &str, port: &str) -> ContainerSpec {
    let labels = [(PORT, port), (PATH, "/n")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    ContainerSpec::new(name, &HashMap::from(labels), false)
}

/// A container without labels.
fn sidecar() -> ContainerSpec {
    ContainerSpec::new("sidecar", &HashMap::<String, String>::new(), false)
}

#[expect(clippy::unnecessary_wraps, reason = "the classifier takes the result of a lookup")]
fn revision<const N: usize>(containers: [ContainerSpec; N]) -> RevisionResult {
    Ok(Arc::new(Revision::new(NetworkMode::Awsvpc, containers)))
}

fn container(name: &str) -> ContainerState {
    let v4 = Some("10.0.0.9".parse().unwrap());
    ContainerState {
        name: name.to_owned(),
        last_status: Some(RUNNING.to_owned()),
        interfaces: vec![NetworkInterface { v4, ..NetworkInterface::default() }],
        ..ContainerState::default()
    }
}

/// A running task of the service `web`.
fn task<const N: usize>(containers: [ContainerState; N]) -> TaskState {
    TaskState {
        arn: "arn:t".to_owned(),
        group: Some("service:web".to_owned()),
        last_status: Some(RUNNING.to_owned()),
        desired_status: Some(RUNNING.to_owned()),
        containers: containers.into(),
        ..TaskState::default()
    }
}

/// Every container of the task, a line each.
fn classified(
    task: &TaskState,
    revision: &RevisionResult,
    share: &Share,
    labels: Option<&Labels>,
    health: HealthPolicy,
) -> Vec<String> {
    let policy = CallPolicy {
        health,
        networks: Networks::default(),
        anywhere: false,
        method: DiscoveryPolicy::default(),
    };
    let mut classifier = Classifier::new(Selection { cluster: "prod", share, labels }, &policy);
    classifier.running(task, revision);
    let Fleet { endpoints, skips, not_targeted } = classifier.fleet;
    let name = |member: &Member| format!("{}/{}", member.service, member.container);
    let endpoints = endpoints.iter().map(|e| {
        let starting = if e.is_starting { ", starting" } else { "" };
        format!("{} at {}{starting}", name(&e.member), e.address)
    });
    let skips =
        skips.iter().map(|s| format!("{} skipped: {}", name(&s.member), s.reason.as_deref().unwrap()));
    let not_targeted = not_targeted.iter().map(|n| format!("{} {}", name(&n.member), n.reason));
    endpoints.chain(skips).chain(not_targeted).collect()
}

fn all(task: &TaskState, revision: &RevisionResult) -> Vec<String> {
    classified(task, revision, &Share::All, None, HealthPolicy::Detect)
}

#[test]
fn several_messages_for_one_service_share_its_endpoints_without_gap_or_overlap() {
    let revision = revision([spec("a", "80"), spec("b", "81"), sidecar()]);
    let task = task([container("a"), container("b")]);
    let labels = |port: &str| Labels::new(port, "/n");
    let of = |share, labels| classified(&task, &revision, &share, Some(&labels), HealthPolicy::Detect);
    let rest = of(Share::Except(vec![labels("81"), labels("82")]), labels("79"));
    assert_eq!(rest, ["web/a at 10.0.0.9:80", "web/sidecar did not opt in"]);
    assert_eq!(of(Share::Only, labels("81")), ["web/b at 10.0.0.9:81"]);
    assert_eq!(of(Share::Only, labels("82")), [""; 0]);
}

#[test]
fn health_counts_where_it_is_checked_or_required() {
    let check = |has_health_check: bool, status: &str, health: HealthPolicy, expected: &str| {
        let revision = revision([ContainerSpec { has_health_check, ..spec("a", "80") }]);
        let task = task([ContainerState {
            health: (!status.is_empty()).then(|| status.to_owned()),
            ..container("a")
        }]);
        let found = classified(&task, &revision, &Share::All, None, health);
        assert_eq!(found, [format!("web/a {expected}")], "{has_health_check} {status} {health}");
    };
    let called = "at 10.0.0.9:80";
    check(false, UNKNOWN, HealthPolicy::Detect, called);
    check(true, HEALTHY, HealthPolicy::Detect, called);
    check(true, "UNHEALTHY", HealthPolicy::Detect, "skipped: its health is UNHEALTHY");
    let starting = "at 10.0.0.9:80, starting";
    check(true, UNKNOWN, HealthPolicy::Detect, starting);
    check(true, "", HealthPolicy::Detect, starting);
    check(true, UNKNOWN, HealthPolicy::Require, starting);
    let none = "skipped: its health is required, but the container has no health check";
    check(false, UNKNOWN, HealthPolicy::Require, none);
    check(true, HEALTHY, HealthPolicy::Require, called);
    check(true, "UNHEALTHY", HealthPolicy::Ignore, called);
    let odd = "OF\u{1b}TOMORROW";
    check(true, odd, HealthPolicy::Detect, r"skipped: its health is OF\u{1b}TOMORROW");
}

#[test]
fn a_container_that_does_not_run_is_skipped_although_its_task_runs() {
    let revision = revision([spec("a", "80"), spec("b", "81"), spec("c", "82")]);
    let with = |name: &str, last_status| ContainerState { last_status, ..container(name) };
    assert_eq!(
        all(&task([with("a", Some(STOPPED.to_owned())), with("c", None)]), &revision),
        [
            "web/a skipped: the container is STOPPED",
            "web/b skipped: the container is not part of the task",
            "web/c skipped: the container is of unknown status",
        ]
    );
}

#[test]
fn tasks_of_one_revision_share_its_targets() {
    let (task, revision) = (task([container("a")]), revision([spec("a", "80")]));
    let policy = CallPolicy {
        health: HealthPolicy::Detect,
        networks: Networks::default(),
        anywhere: false,
        method: DiscoveryPolicy::default(),
    };
    let selection = Selection { cluster: "prod", share: &Share::All, labels: None };
    let mut classifier = Classifier::new(selection, &policy);
    classifier.running(&task, &revision);
    classifier.running(&task, &revision);
    let [one, two] = &classifier.fleet.endpoints[..] else { panic!("two endpoints") };
    assert!(Arc::ptr_eq(&one.target, &two.target));
}
