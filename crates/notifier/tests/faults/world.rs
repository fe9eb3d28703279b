//! A world, drawn wholly from a seed: what runs, how it answers, who is asked to be told, and what must come of it.
//!
//! Pure. What must come of it follows from what was drawn and the rules of the product's documents, never from the code
//! under test.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use fastrand::Rng;
use notifier::outcome::Outcome;
use simulator::Fleet;
use simulator::faults::{Fault, When};
use simulator::fleet::{
    Cluster, Container, Deployment, HealthStatus, HostKind, Hosts, LaunchType, NetworkMode, PortMapping,
    Service, Standalone, TaskOverride, TaskStatus,
};

use crate::script::Script;
use crate::trouble;

/// The cluster of every world.
pub(crate) const CLUSTER: &str = "prod";
/// A service that no world has.
pub(crate) const NOWHERE: &str = "nowhere";
/// Receives before a message is dead: so many that only what a script says ends a delivery.
const RECEIVES_MAX: u32 = 60;
/// Hosts of each kind in a world that needs some; host mode puts one task of a service on each.
const HOSTS: u32 = 3;

/// Draws of one seed, in order.
pub(crate) struct Draw(Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0.usize(..most)
    }

    /// Both ends included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.u64(least..=most)
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// A place, as likely as its weight.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        weights.iter().position(|weight| left.checked_sub(*weight).map(|rest| left = rest).is_none()).unwrap()
    }
}

/// What must come of one container.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It is called, and this comes of it.
    Called(Outcome),
    /// It opted in and cannot be called.
    Skipped,
    /// Nobody asked for it.
    Ignored,
}

/// One task, in the order in which the simulator starts them.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Service, or the group of a standalone task.
    pub(crate) group: String,
    pub(crate) is_standalone: bool,
    pub(crate) containers: Vec<(String, Expected)>,
    /// It may be stopped, or hand its address on, without upsetting others.
    pub(crate) may_stop: bool,
    /// Its process refuses what is not for it, so it may inherit an address.
    pub(crate) knows_itself: bool,
}

/// One broadcast.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    pub(crate) id: String,
    /// Empty: all of the cluster.
    pub(crate) services: Vec<String>,
    pub(crate) standalone: bool,
    /// How often it is asked for.
    pub(crate) asked: usize,
}

impl Broadcast {
    /// Whether the scope takes a task in.
    pub(crate) fn takes(&self, task: &Task) -> bool {
        if task.is_standalone {
            return self.standalone && self.services.is_empty();
        }
        self.services.is_empty() || self.services.contains(&task.group)
    }

    pub(crate) fn message(&self) -> String {
        serde_json::json!({
            "cluster": CLUSTER, "services": self.services, "standalone": self.standalone,
            "event": { "id": self.id, "type": "com.example.changed", "data": { "cache": "prices" } },
        })
        .to_string()
    }
}

/// Something that happens in the middle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upset {
    /// The daemon is killed, and another starts.
    Kill,
    /// The daemon is asked to end, does, and another starts.
    Restart,
    /// A task stops: the place of the task.
    Stop(usize),
    /// A task stops and another one, of another service, answers at its address: both places.
    Move(usize, usize),
}

/// What is waited for before an upset.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// So many calls at receivers.
    Calls(usize),
    /// So many calls of an operation of SQS or ECS.
    Asked(&'static str, u64),
    /// So much time since the start.
    Passed(Duration),
    /// A trouble.
    Struck,
}

/// Everything about one run.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) fleet: Fleet,
    pub(crate) tasks: Vec<Task>,
    pub(crate) broadcasts: Vec<Broadcast>,
    pub(crate) upsets: Vec<(Moment, Upset)>,
    pub(crate) faults: Vec<(&'static str, When, Fault)>,
    pub(crate) has_ledger: bool,
    pub(crate) is_signed: bool,
    /// Attempts at once.
    pub(crate) concurrency: usize,
    /// Seconds for which queues hide messages.
    pub(crate) visibility: u32,
    /// Receives before a message is dead.
    pub(crate) receives_max: u32,
    /// Some receiver wants to be left alone for longer than a delivery is tried.
    pub(crate) waits_long: bool,
}

impl World {
    /// The world of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let draw = &mut Draw::new(seed);
        let is_signed = draw.percent(40);
        let (fleet, tasks) = fleet(draw, seed, is_signed);
        let has_ledger = draw.percent(85);
        let broadcasts = (0..draw.between(1, 3)).map(|n| broadcast(draw, seed, n, &tasks)).collect();
        let upsets = (0..draw.weighted(&[30, 40, 20, 10])).filter_map(|_| upset(draw, &tasks)).collect();
        Self {
            seed,
            broadcasts,
            upsets,
            faults: trouble::draw(draw, has_ledger),
            has_ledger,
            is_signed,
            concurrency: [256, 8, 3, 1][draw.weighted(&[40, 30, 20, 10])],
            receives_max: RECEIVES_MAX,
            waits_long: waits_long(&fleet),
            fleet,
            visibility: [4, 10, 30][draw.weighted(&[15, 35, 50])],
            tasks,
        }
    }

    /// A quiet world of a few services of so many tasks, where everybody accepts.
    pub(crate) fn small(services: &[u32]) -> Self {
        Self::small_of(services, &Script::accepting())
    }

    /// The same with other answers.
    pub(crate) fn small_of(services: &[u32], script: &Script) -> Self {
        let mut cluster = Cluster { name: CLUSTER.to_owned(), ..Cluster::default() };
        let mut tasks = Vec::new();
        for (number, count) in services.iter().enumerate() {
            let name = format!("s{number}");
            let container = opted_in("app", 8080, script.clone());
            let service = Service {
                name: name.clone(),
                launch_type: LaunchType::Fargate,
                tasks: *count,
                containers: vec![container],
                ..Service::default()
            };
            cluster.services.push(service);
            tasks.extend((0..*count).map(|_| Task {
                group: name.clone(),
                is_standalone: false,
                containers: vec![("app".to_owned(), Expected::Called(script.ends))],
                may_stop: false,
                knows_itself: false,
            }));
        }
        Self {
            seed: 0,
            fleet: Fleet { clusters: vec![cluster], ..Fleet::default() },
            tasks,
            broadcasts: vec![Broadcast {
                id: "b-0-0".to_owned(),
                services: vec![],
                standalone: false,
                asked: 1,
            }],
            upsets: Vec::new(),
            faults: Vec::new(),
            has_ledger: true,
            is_signed: false,
            concurrency: 8,
            visibility: 4,
            receives_max: RECEIVES_MAX,
            waits_long: false,
        }
    }
}

fn waits_long(fleet: &Fleet) -> bool {
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

fn opted_in(name: &str, port: u16, script: Script) -> Container {
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

fn broadcast(draw: &mut Draw, seed: u64, number: u64, tasks: &[Task]) -> Broadcast {
    let mut services = Vec::new();
    if draw.percent(25) {
        let task = &tasks[draw.below(tasks.len())];
        services.extend((!task.is_standalone).then(|| task.group.clone()));
        if services.is_empty() || draw.percent(30) {
            services.push(NOWHERE.to_owned());
        }
    }
    let asked = [1, 2, 3][draw.weighted(&[80, 15, 5])];
    Broadcast { id: format!("b-{seed}-{number}"), services, standalone: draw.percent(50), asked }
}

fn upset(draw: &mut Draw, tasks: &[Task]) -> Option<(Moment, Upset)> {
    let moment = match draw.below(6) {
        0 => Moment::Calls(1 + draw.below(tasks.len() * 2)),
        1 => Moment::Asked("ListTasks", draw.between(1, 4)),
        2 => Moment::Asked("SendMessageBatch", draw.between(1, 8)),
        3 => Moment::Asked("DeleteMessageBatch", draw.between(1, 6)),
        4 => Moment::Asked("ReceiveMessage", draw.between(1, 12)),
        _ => Moment::Passed(Duration::from_millis(draw.between(1, 9_000))),
    };
    let stoppable: Vec<usize> = (0..tasks.len()).filter(|place| tasks[*place].may_stop).collect();
    let upset = match draw.weighted(&[45, 15, 20, 20]) {
        0 => Upset::Kill,
        1 => Upset::Restart,
        2 => Upset::Stop(*stoppable.get(draw.below(stoppable.len().max(1)))?),
        _ => {
            let from = *stoppable.get(draw.below(stoppable.len().max(1)))?;
            let heirs =
                |place: &usize| tasks[*place].knows_itself && tasks[*place].group != tasks[from].group;
            let heirs: Vec<usize> = (0..tasks.len()).filter(heirs).collect();
            Upset::Move(from, *heirs.get(draw.below(heirs.len().max(1)))?)
        }
    };
    Some((moment, upset))
}

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

fn fleet(draw: &mut Draw, seed: u64, is_signed: bool) -> (Fleet, Vec<Task>) {
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
