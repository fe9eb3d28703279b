//! What one task means for a broadcast: for each of its containers, an endpoint, a skip, or nothing.
//!
//! Pure: the input is what ECS said of the task and its revision.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_sdk_ecs::types::{Container, HealthStatus, Task};
use wire::{Labels, Share};

use super::HealthPolicy;
use super::address::{Location, address_of};
use super::revisions::{ContainerSpec, Definition, RevisionResult};
use crate::base::text::{chain, printable};
use crate::model::labels::Target;
use crate::model::network::Networks;
use crate::model::{Endpoint, Fleet, Member, NotTargeted, NotTargetedReason, Skip, SkipReason};

/// The longest group of a task. Source: ECS API reference.
const GROUP_CHARS_MAX: usize = 255;
/// The most characters of a status that a reason repeats; those that ECS documents have 14.
const STATUS_CHARS_MAX: usize = 40;

/// The health of a container whose check has not passed or failed yet, or that has none. Source: ECS API reference,
/// `Container.healthStatus`.
pub(super) const UNKNOWN: &str = "UNKNOWN";

/// How groups of tasks that a service started begin. Source: ECS API reference, `Task.group`.
const SERVICE_GROUP: &str = "service:";

/// Which containers count, and which of them may be called.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) health: HealthPolicy,
    pub(super) networks: Networks,
}

/// A callable container whose host's address is still to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OnHost {
    pub(super) member: Arc<Member>,
    pub(super) target: Arc<Target>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_starting: bool,
}

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Classified {
    pub(super) fleet: Fleet,
    pub(super) on_hosts: Vec<OnHost>,
}

/// Which endpoints of the tasks are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) cluster: &'a str,
    pub(super) share: &'a Share,
    /// The labels of the message, for [`Share::Only`].
    pub(super) labels: Option<&'a Labels>,
}

impl Asked<'_> {
    /// Whether containers with these labels are.
    fn takes(&self, claim: &Labels) -> bool {
        match self.share {
            Share::All => true,
            Share::Except(others) => !others.contains(claim),
            Share::Only => self.labels == Some(claim),
        }
    }

    /// Whether this message reports what belongs to no labels.
    pub(super) fn takes_rest(&self) -> bool {
        *self.share != Share::Only
    }
}

/// Whether the task counts: it runs, and shall go on running.
pub(super) fn is_running(task: &Task) -> bool {
    task.last_status() == Some("RUNNING") && task.desired_status() != Some("STOPPED")
}

/// The service that started the task, if one did.
pub(super) fn service(task: &Task) -> Option<&str> {
    task.group().and_then(|group| group.strip_prefix(SERVICE_GROUP))
}

/// The task as reports name it; the container is still open.
fn member(task: &Task, cluster: &str) -> Member {
    Member {
        // Whoever may run a task chooses its group.
        service: printable(service(task).or(task.group()).unwrap_or_default(), GROUP_CHARS_MAX),
        task_definition: task.task_definition_arn().unwrap_or_default().to_owned(),
        ..Member::of_task(cluster, task.task_arn().unwrap_or_default())
    }
}

/// A task of which only the ARN is known.
fn listed(arn: &str, service: &str, asked: Asked<'_>) -> Arc<Member> {
    Arc::new(Member { service: service.to_owned(), ..Member::of_task(asked.cluster, arn) })
}

/// A word of ECS as a reason shows it.
fn status(word: Option<&str>) -> String {
    printable(word.unwrap_or("of unknown status"), STATUS_CHARS_MAX)
}

impl Classified {
    /// Notes a task that does not run.
    pub(super) fn not_running(&mut self, task: &Task, asked: Asked<'_>) {
        if asked.takes_rest() {
            let reason = NotTargetedReason::TaskNotRunning {
                last: status(task.last_status()),
                desired: status(task.desired_status()),
            };
            let member = Arc::new(member(task, asked.cluster));
            self.fleet.not_targeted.push(NotTargeted { member, reason });
        }
    }

    /// Notes a task that ECS listed and then did not know.
    pub(super) fn vanished(&mut self, arn: &str, service: &str, asked: Asked<'_>) {
        if asked.takes_rest() {
            let member = listed(arn, service, asked);
            self.fleet.not_targeted.push(NotTargeted { member, reason: NotTargetedReason::TaskVanished });
        }
    }

    /// Notes a task that ECS listed and then did not describe, without saying that it is gone: it may be running.
    pub(super) fn not_described(&mut self, arn: &str, service: &str, why: &str, asked: Asked<'_>) {
        if asked.takes_rest() {
            let reason = SkipReason::NotDescribed(why.to_owned());
            self.fleet.skips.push(Skip { member: listed(arn, service, asked), reason });
        }
    }

    /// Looks at every container of a running task.
    pub(super) fn running(
        &mut self,
        task: &Task,
        definition: &RevisionResult,
        asked: Asked<'_>,
        rules: &Rules,
    ) {
        let member = member(task, asked.cluster);
        let definition = match definition {
            Ok(definition) => definition,
            Err(error) => {
                if asked.takes_rest() {
                    let reason = SkipReason::NoDefinition(chain(error));
                    self.fleet.skips.push(Skip { member: Arc::new(member), reason });
                }
                return;
            }
        };
        for spec in &definition.containers {
            let member = Arc::new(Member { container: spec.name.clone(), ..member.clone() });
            match &spec.claim {
                None if asked.takes_rest() => {
                    self.fleet
                        .not_targeted
                        .push(NotTargeted { member, reason: NotTargetedReason::NotOptedIn });
                }
                Some(claim) if asked.takes(claim) => self.opted_in(task, definition, spec, member, rules),
                _ => {}
            }
        }
    }

    fn opted_in(
        &mut self,
        task: &Task,
        definition: &Definition,
        spec: &ContainerSpec,
        member: Arc<Member>,
        rules: &Rules,
    ) {
        match callable(task, definition, spec, rules.health) {
            Ok(None) => {}
            Ok(Some(Callable { target, location: Location::OnHost(host, port), is_starting })) => {
                self.on_hosts.push(OnHost { member, target, host, port, is_starting });
            }
            Ok(Some(Callable { target, location: Location::At(ip, port), is_starting })) => {
                let address = SocketAddr::new(ip, port);
                self.endpoint(Endpoint { member, address, target, is_starting }, rules);
            }
            Err(reason) => self.fleet.skips.push(Skip { member, reason }),
        }
    }

    /// Notes where a container listens, unless nobody may call there.
    pub(super) fn endpoint(&mut self, endpoint: Endpoint, rules: &Rules) {
        let address = endpoint.address.ip();
        match rules.networks.check(address) {
            Ok(()) => self.fleet.endpoints.push(endpoint),
            Err(refused) => {
                let reason = SkipReason::Address { address, rule: refused.to_string() };
                self.fleet.skips.push(Skip { member: endpoint.member, reason });
            }
        }
    }
}

/// A container that may be called.
struct Callable {
    target: Arc<Target>,
    location: Location,
    is_starting: bool,
}

/// What the container's labels ask for and where it listens, or why it cannot be called.
fn callable(
    task: &Task,
    definition: &Definition,
    spec: &ContainerSpec,
    health: HealthPolicy,
) -> Result<Option<Callable>, SkipReason> {
    let Some(target) = spec.target.clone()? else { return Ok(None) };
    let container = task
        .containers()
        .iter()
        .find(|c| c.name() == Some(&spec.name))
        .ok_or_else(|| SkipReason::NotRunning("not part of the task".to_owned()))?;
    match container.last_status() {
        Some("RUNNING") => {}
        other => return Err(SkipReason::NotRunning(status(other))),
    }
    let is_starting = check_health(container, spec, health)?;
    let location = address_of(task, container, &definition.network, target.port.get())?;
    Ok(Some(Callable { target, location, is_starting }))
}

/// Whether the health check still has to say something, or why the container is not ready.
///
/// The labelled container is judged, not the task: a task can be healthy while one of its containers is not known to be.
fn check_health(
    container: &Container,
    spec: &ContainerSpec,
    health: HealthPolicy,
) -> Result<bool, SkipReason> {
    let required = match health {
        HealthPolicy::Detect => spec.has_health_check,
        HealthPolicy::Require => true,
        HealthPolicy::Ignore => false,
    };
    match container.health_status().map_or(UNKNOWN, HealthStatus::as_str) {
        _ if !required => Ok(false),
        "HEALTHY" => Ok(false),
        _ if !spec.has_health_check => {
            Err(SkipReason::Health("required, but the container has no health check".to_owned()))
        }
        UNKNOWN => Ok(true),
        other => Err(SkipReason::Health(status(Some(other)))),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::builders::TaskBuilder;
    use aws_sdk_ecs::types::{
        ContainerDefinition, HealthCheck, NetworkInterface, NetworkMode, TaskDefinition,
    };

    use super::*;
    use crate::model::labels::{PATH, PORT};

    fn spec(name: &str, port: &str) -> aws_sdk_ecs::types::builders::ContainerDefinitionBuilder {
        ContainerDefinition::builder().name(name).docker_labels(PORT, port).docker_labels(PATH, "/n")
    }

    #[expect(clippy::unnecessary_wraps, reason = "a survey takes what a look-up found")]
    fn definition(containers: Vec<ContainerDefinition>) -> RevisionResult {
        let definition = TaskDefinition::builder()
            .network_mode(NetworkMode::Awsvpc)
            .set_container_definitions(Some(containers))
            .build();
        Ok(Arc::new(Definition::from(&definition)))
    }

    fn container(name: &str, health: Option<HealthStatus>) -> Container {
        Container::builder()
            .name(name)
            .last_status("RUNNING")
            .set_health_status(health)
            .network_interfaces(NetworkInterface::builder().private_ipv4_address("10.0.0.9").build())
            .build()
    }

    fn task() -> TaskBuilder {
        Task::builder()
            .task_arn("arn:t")
            .group("service:web")
            .last_status("RUNNING")
            .desired_status("RUNNING")
    }

    /// Everything that was seen, a line each.
    fn survey(
        task: &Task,
        definition: &RevisionResult,
        share: &Share,
        labels: Option<&Labels>,
        health: HealthPolicy,
    ) -> Vec<String> {
        let rules = Rules { health, networks: Networks::default() };
        let mut survey = Classified::default();
        survey.running(task, definition, Asked { cluster: "prod", share, labels }, &rules);
        let Fleet { endpoints, skips, not_targeted } = survey.fleet;
        let name = |member: &Member| format!("{}/{}", member.service, member.container);
        let endpoints = endpoints.iter().map(|e| {
            let starting = if e.is_starting { ", starting" } else { "" };
            format!("{} at {}{starting}", name(&e.member), e.address)
        });
        let skips = skips.iter().map(|s| format!("{} skipped: {}", name(&s.member), s.reason));
        let not_targeted = not_targeted.iter().map(|b| format!("{} {}", name(&b.member), b.reason));
        endpoints.chain(skips).chain(not_targeted).collect()
    }

    #[test]
    fn every_opted_in_container_of_a_task_counts() {
        let sidecar = ContainerDefinition::builder().name("sidecar").build();
        let definition = definition(vec![
            spec("a", "80").build(),
            sidecar,
            spec("b", "81").build(),
            spec("c", "x").build(),
        ]);
        let task = task().containers(container("a", None)).containers(container("b", None)).build();
        assert_eq!(
            survey(&task, &definition, &Share::All, None, HealthPolicy::Detect),
            [
                "web/a at 10.0.0.9:80",
                "web/b at 10.0.0.9:81",
                "web/c skipped: label NOTIFY_ME_CONTAINER_PORT: `x` is not a port (1-65535)",
                "web/sidecar did not opt in",
            ]
        );
    }

    #[test]
    fn several_messages_for_one_service_share_its_endpoints_without_gap_or_overlap() {
        let sidecar = ContainerDefinition::builder().name("sidecar").build();
        let definition = definition(vec![spec("a", "80").build(), spec("b", "81").build(), sidecar]);
        let task = task().containers(container("a", None)).containers(container("b", None)).build();
        let labels = |port: &str| Labels::new(port, "/n");
        let of = |share, labels| survey(&task, &definition, &share, Some(&labels), HealthPolicy::Detect);
        let rest = of(Share::Except(vec![labels("81"), labels("82")]), labels("79"));
        assert_eq!(rest, ["web/a at 10.0.0.9:80", "web/sidecar did not opt in"]);
        assert_eq!(of(Share::Only, labels("81")), ["web/b at 10.0.0.9:81"]);
        assert_eq!(of(Share::Only, labels("82")), [""; 0]);
    }

    #[test]
    fn health_counts_where_it_is_checked_or_required() {
        let check = |has_check: bool, status: Option<HealthStatus>, health: HealthPolicy, expected: &str| {
            let check = has_check.then(|| HealthCheck::builder().command("true").build().unwrap());
            let definition = definition(vec![spec("a", "80").set_health_check(check).build()]);
            let task = task().containers(container("a", status.clone())).build();
            let seen = survey(&task, &definition, &Share::All, None, health);
            assert_eq!(seen, [format!("web/a {expected}")], "{has_check} {status:?} {health}");
        };
        let called = "at 10.0.0.9:80";
        check(false, None, HealthPolicy::Detect, called);
        check(true, Some(HealthStatus::Healthy), HealthPolicy::Detect, called);
        check(true, Some(HealthStatus::Unhealthy), HealthPolicy::Detect, "skipped: its health is UNHEALTHY");
        let starting = "at 10.0.0.9:80, starting";
        check(true, Some(HealthStatus::from("UNKNOWN")), HealthPolicy::Detect, starting);
        check(true, None, HealthPolicy::Detect, starting);
        check(true, None, HealthPolicy::Require, starting);
        let none = "skipped: its health is required, but the container has no health check";
        check(false, Some(HealthStatus::from("UNKNOWN")), HealthPolicy::Require, none);
        check(true, Some(HealthStatus::Healthy), HealthPolicy::Require, called);
        check(true, Some(HealthStatus::Unhealthy), HealthPolicy::Ignore, called);
    }

    #[test]
    fn a_container_that_does_not_run_is_skipped_although_its_task_runs() {
        let definition = definition(vec![spec("a", "80").build(), spec("b", "81").build()]);
        let stopped = Container::builder().name("a").last_status("STOPPED").build();
        let task = task().containers(stopped).build();
        assert_eq!(
            survey(&task, &definition, &Share::All, None, HealthPolicy::Detect),
            [
                "web/a skipped: the container is STOPPED",
                "web/b skipped: the container is not part of the task"
            ]
        );
    }

    #[test]
    fn an_address_that_must_not_be_called_is_a_skip() {
        let definition = definition(vec![spec("a", "80").build()]);
        let metadata = NetworkInterface::builder().private_ipv4_address("169.254.170.2").build();
        let container =
            Container::builder().name("a").last_status("RUNNING").network_interfaces(metadata).build();
        let task = task().containers(container).build();
        assert_eq!(
            survey(&task, &definition, &Share::All, None, HealthPolicy::Detect),
            ["web/a skipped: 169.254.170.2 must not be called: it is link-local"]
        );
    }

    #[test]
    fn a_task_counts_while_it_runs_and_shall_go_on() {
        let check = |last: &str, desired: &str, expected: bool| {
            let task = Task::builder().last_status(last).desired_status(desired).build();
            assert_eq!(is_running(&task), expected, "{last} {desired}");
        };
        check("RUNNING", "RUNNING", true);
        check("RUNNING", "STOPPED", false);
        check("PENDING", "RUNNING", false);
        check("DEACTIVATING", "STOPPED", false);
        check("STOPPED", "STOPPED", false);
    }
}
