//! The fleet of a world: tasks, hosts, labels, and the expected outcome of each container. Pure.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use notifier::model::Outcome;
use simulator::Fleet;
use simulator::fleet::{
    Cluster, Container, Deployment, HealthStatus, HostKind, Hosts, LaunchType, NetworkMode, PortMapping,
    Service, Standalone, TaskOverride, TaskStatus,
};

use crate::script::Script;
use crate::world::{CLUSTER, Draw, Expected, Task};

/// Hosts of each kind in a world that needs some; host mode puts one task of a service on each.
const HOSTS: u32 = 3;

/// A kind of service, by where its tasks run.
#[derive(Clone, Copy)]
struct Kind {
    launch_type: LaunchType,
    mode: NetworkMode,
    /// Whether the product finds its tasks' addresses.
    is_found: bool,
}

const KINDS: [(usize, Kind); 9] = [
    (36, Kind { launch_type: LaunchType::Fargate, mode: NetworkMode::Awsvpc, is_found: true }),
    (20, Kind { launch_type: LaunchType::Ec2, mode: NetworkMode::Bridge, is_found: true }),
    (10, Kind { launch_type: LaunchType::Ec2, mode: NetworkMode::Host, is_found: true }),
    (8, Kind { launch_type: LaunchType::Ec2, mode: NetworkMode::Awsvpc, is_found: true }),
    (8, Kind { launch_type: LaunchType::ManagedInstances, mode: NetworkMode::Awsvpc, is_found: true }),
    (6, Kind { launch_type: LaunchType::ManagedInstances, mode: NetworkMode::Host, is_found: true }),
    (4, Kind { launch_type: LaunchType::External, mode: NetworkMode::Bridge, is_found: false }),
    (4, Kind { launch_type: LaunchType::External, mode: NetworkMode::Host, is_found: false }),
    (4, Kind { launch_type: LaunchType::Ec2, mode: NetworkMode::None, is_found: false }),
];

/// The fleet of a seed and its tasks, in the order in which the simulator starts them.
pub(crate) fn draw(draw: &mut Draw, seed: u64, is_signed: bool) -> (Fleet, Vec<Task>) {
    let hidden = draw.percent(50);
    let hosts = [HostKind::Ec2, HostKind::Anywhere, HostKind::Managed].map(|kind| Hosts {
        count: HOSTS,
        kind,
        hidden: hidden && kind == HostKind::Managed,
        ..Hosts::default()
    });
    let mut cluster = Cluster { name: CLUSTER.to_owned(), hosts: hosts.into(), ..Cluster::default() };
    let mut tasks = Vec::new();
    for number in 0..draw.weighted(&[0, 25, 30, 25, 12, 8]) {
        let (service, its) = service(draw, number, is_signed);
        cluster.services.push(service);
        tasks.extend(its);
    }
    if draw.percent(20) {
        let (standalone, its) = standalone(draw, is_signed);
        cluster.standalones.push(standalone);
        tasks.extend(its);
    }
    (Fleet { seed, clusters: vec![cluster], ..Fleet::default() }, tasks)
}

fn service(draw: &mut Draw, number: usize, is_signed: bool) -> (Service, Vec<Task>) {
    let kind = KINDS[draw.weighted(&KINDS.map(|(weight, _)| weight))].1;
    let name = format!("s{number}");
    let place = Place { kind, port: 8_000 + 100 * u16::try_from(number).unwrap(), is_signed };
    let most = if kind.mode == NetworkMode::Host {
        u64::from(HOSTS)
    } else {
        [2, 5, 12][draw.weighted(&[50, 35, 15])]
    };
    let mut tasks = Vec::new();
    let rollout = |draw: &mut Draw, port: u16, most: u64, tasks: &mut Vec<Task>| {
        let place = Place { port, ..place };
        let (containers, expected) = containers(draw, place);
        let count = draw.between(1, most);
        let overrides = overrides(draw, count);
        tasks.extend((1..=count).map(|task| task_of(&name, false, task, &expected, &containers, &overrides)));
        (u32::try_from(count).unwrap(), containers, overrides)
    };
    let (count, described, differing) = rollout(draw, place.port, most, &mut tasks);
    let mut deployments = Vec::new();
    if draw.percent(15) && kind.mode != NetworkMode::Host {
        let (tasks, containers, overrides) = rollout(draw, place.port + 50, 2, &mut tasks);
        deployments.push(Deployment { revision: 1, tasks, containers, overrides });
    }
    if kind.mode == NetworkMode::Host {
        // On another host, its port may be taken by another task of the service.
        for task in &mut tasks {
            task.knows_itself = false;
        }
    }
    let service = Service {
        name,
        launch_type: kind.launch_type,
        network_mode: Some(kind.mode),
        revision: 2,
        tasks: count,
        containers: described,
        overrides: differing,
        deployments,
        ..Service::default()
    };
    (service, tasks)
}

fn standalone(draw: &mut Draw, is_signed: bool) -> (Standalone, Vec<Task>) {
    let place = Place { kind: KINDS[0].1, port: 9_000, is_signed };
    let (containers, expected) = containers(draw, place);
    let count = draw.between(1, 3);
    let tasks = (1..=count).map(|task| task_of("family:job", true, task, &expected, &containers, &[]));
    let tasks = tasks.collect();
    let standalone = Standalone {
        family: "job".to_owned(),
        launch_type: place.kind.launch_type,
        tasks: u32::try_from(count).unwrap(),
        containers,
        ..Standalone::default()
    };
    (standalone, tasks)
}

/// At most one task of a rollout differs, and does not run.
fn overrides(draw: &mut Draw, tasks: u64) -> Vec<TaskOverride> {
    if tasks < 2 || !draw.percent(15) {
        return Vec::new();
    }
    let number = u32::try_from(draw.between(1, tasks)).unwrap();
    let (last, desired) = [
        (TaskStatus::Pending, TaskStatus::Running),
        (TaskStatus::Running, TaskStatus::Stopped),
        (TaskStatus::Deprovisioning, TaskStatus::Stopped),
    ][draw.below(3)];
    let differs = TaskOverride {
        number,
        last_status: Some(last),
        desired_status: Some(desired),
        ..TaskOverride::default()
    };
    vec![differs]
}

fn task_of(
    group: &str,
    is_standalone: bool,
    number: u64,
    expected: &[(String, Expected)],
    containers: &[Container],
    overrides: &[TaskOverride],
) -> Task {
    let runs = overrides.iter().all(|other| u64::from(other.number) != number);
    let containers_of = expected
        .iter()
        .map(|(name, expected)| (name.clone(), if runs { expected.clone() } else { Expected::Ignored }));
    Task {
        group: group.to_owned(),
        is_standalone,
        containers: containers_of.collect(),
        may_stop: runs && containers.iter().all(|container| container.ports.len() <= 1),
        knows_itself: runs && containers.iter().all(|container| container.own_only),
    }
}

/// What the containers of one rollout have in common.
#[derive(Clone, Copy)]
struct Place {
    kind: Kind,
    port: u16,
    is_signed: bool,
}

fn containers(draw: &mut Draw, place: Place) -> (Vec<Container>, Vec<(String, Expected)>) {
    let mut all = vec![container(draw, "app", place.port, place)];
    if draw.percent(20) {
        all.push(container(draw, "admin", place.port + 1, place));
    }
    if draw.percent(25) {
        let sidecar = Container {
            name: "proxy".to_owned(),
            ports: vec![tcp(place.port + 2)],
            own_only: true,
            ..Container::default()
        };
        all.push((sidecar, Expected::Ignored));
    }
    let expected = all.iter().map(|(container, expected)| (container.name.clone(), expected.clone()));
    let expected = expected.collect();
    (all.into_iter().map(|(container, _)| container).collect(), expected)
}

/// A container, and what must come of it in a task that runs.
fn container(draw: &mut Draw, name: &str, port: u16, place: Place) -> (Container, Expected) {
    let script = Script::draw(draw);
    let ends = script.ends;
    let mut container = Container { own_only: draw.percent(40), ..opted_in(name, port, script) };
    let mut expected = Expected::Called(ends);
    match draw.weighted(&[62, 10, 4, 4, 4, 4, 4, 4, 4]) {
        0 => {}
        1 => {
            let (port, path) =
                [("eighty", "/n"), ("0", "/n"), ("70000", "/n"), ("8080", "n"), ("8080", "//host/n")]
                    [draw.below(5)];
            container.labels = labels(port, path);
            if draw.percent(20) {
                container.labels.pop_first();
            }
            expected = Expected::Skipped;
        }
        2 => {
            container.labels.clear();
            expected = Expected::Ignored;
        }
        3 => {
            container.health_check = true;
            if draw.percent(50) {
                container.health = Some([HealthStatus::Unhealthy, HealthStatus::Unknown][draw.below(2)]);
                expected = Expected::Skipped;
            }
        }
        4 => {
            container.essential = Some(false);
            container.last_status = Some(TaskStatus::Stopped);
            expected = Expected::Skipped;
        }
        5 => {
            // Nothing of the host leads to it, or nothing listens there.
            container.labels = labels("7777", "/n");
            let is_mapped = place.kind.mode == NetworkMode::Bridge;
            expected = if is_mapped { Expected::Skipped } else { Expected::Called(Script::absent().ends) };
        }
        6 => {
            container.refuse = true;
            expected = Expected::Called(Script::absent().ends);
        }
        7 => {
            container.labels.insert("NOTIFY_ME_METHOD".to_owned(), "GET".to_owned());
            container.method = Some("GET".to_owned());
            container.own_only = false;
        }
        _ => {
            container.labels.insert("NOTIFY_ME_CONTENT_MODE".to_owned(), "binary".to_owned());
            container.own_only = false;
            if place.is_signed {
                expected = Expected::Called(Outcome::Failed);
            }
        }
    }
    if !place.kind.is_found && matches!(expected, Expected::Called(_)) {
        expected = Expected::Skipped;
    }
    (container, expected)
}

/// Whether a receiver wants to be left alone for longer than a delivery is tried.
pub(crate) fn waits_long(fleet: &Fleet) -> bool {
    let services = fleet.clusters.iter().flat_map(|cluster| &cluster.services);
    let deployed = services.flat_map(|one| {
        one.containers.iter().chain(one.deployments.iter().flat_map(|deployment| &deployment.containers))
    });
    let standalone = fleet.clusters.iter().flat_map(|cluster| &cluster.standalones);
    let containers = deployed.chain(standalone.flat_map(|one| &one.containers));
    containers.flat_map(|container| &container.answers).any(|answer| {
        answer
            .headers
            .get("retry-after")
            .is_some_and(|wish| wish.starts_with("Fri") || wish.starts_with("999"))
    })
}

/// A container that is called at its port.
pub(crate) fn opted_in(name: &str, port: u16, script: Script) -> Container {
    Container {
        name: name.to_owned(),
        ports: vec![tcp(port)],
        labels: labels(&port.to_string(), "/v1.0/notify"),
        answers: script.answers,
        ..Container::default()
    }
}

fn tcp(port: u16) -> PortMapping {
    PortMapping::tcp(NonZeroU16::new(port).unwrap())
}

fn labels(port: &str, path: &str) -> BTreeMap<String, String> {
    [("NOTIFY_ME_CONTAINER_PORT", port), ("NOTIFY_ME_API_URI", path)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
