//! Checks that a fleet could exist on AWS and can be simulated.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Answer, Cluster, Container, Fleet, FleetError, HostKind, IpVersion, LaunchType, Mistake, NetworkMode,
    Scheduling, Service, TaskOverride,
};

/// Hosts of a fleet: what fits into the hosts' part of a loopback block.
const HOSTS_MAX: u128 = 4_000;
/// Tasks of a fleet: the largest that the product is measured with.
const TASKS_MAX: u128 = 100_000;

/// CloudWatch's limit for the name of an alarm.
const ALARM_CHARS_MAX: usize = 255;

pub(super) fn fleet(fleet: &Fleet) -> Result<(), FleetError> {
    let mut check = Check::default();
    if fleet.region.is_empty() || !is_name(&fleet.region) {
        check.wrong("fleet", format!("`{}` is not a region", fleet.region));
    }
    if fleet.account.len() != 12 || !fleet.account.bytes().all(|byte| byte.is_ascii_digit()) {
        check.wrong("fleet", format!("`{}` is not an account id of 12 digits", fleet.account));
    }
    let mut names = BTreeSet::new();
    for alarm in &fleet.alarms {
        if !(1..=ALARM_CHARS_MAX).contains(&alarm.name.chars().count()) {
            check.wrong("fleet", format!("the name of an alarm has from 1 to {ALARM_CHARS_MAX} characters"));
        } else if !names.insert(alarm.name.as_str()) {
            check.wrong("fleet", format!("the alarm `{}` is there twice", alarm.name));
        }
    }
    let mut names = BTreeSet::new();
    for cluster in &fleet.clusters {
        let place = format!("cluster {}", cluster.name);
        check.name(&place, &cluster.name, &mut names);
        check.cluster(&place, cluster);
    }
    check.sizes(fleet);
    if check.mistakes.is_empty() { Ok(()) } else { Err(FleetError::Mistakes(check.mistakes)) }
}

/// ECS's rule for the names of clusters, services and families.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[derive(Default)]
struct Check {
    mistakes: Vec<Mistake>,
    /// Where each task-definition revision was first given, and its containers.
    revisions: BTreeMap<(String, u32), (String, Vec<Container>)>,
}

/// What services and standalone tasks have in common.
struct Workload<'a> {
    launch_type: LaunchType,
    mode: NetworkMode,
    ip: IpVersion,
    family: &'a str,
    /// `None` where the number of tasks depends on the hosts.
    tasks: Option<u32>,
    revision: u32,
    containers: &'a [Container],
    overrides: &'a [TaskOverride],
}

impl Check {
    fn wrong(&mut self, place: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.to_owned(), problem: problem.into() });
    }

    fn name<'a>(&mut self, place: &str, name: &'a str, seen: &mut BTreeSet<&'a str>) {
        if !is_name(name) {
            self.wrong(place, format!("`{name}` is not a name: 1 to 255 letters, digits, `-` and `_`"));
        }
        if !seen.insert(name) {
            self.wrong(place, format!("the name `{name}` is used twice"));
        }
    }

    fn sizes(&mut self, fleet: &Fleet) {
        let hosts = fleet.clusters.iter().flat_map(|cluster| &cluster.hosts);
        let hosts: u128 = hosts.map(|hosts| u128::from(hosts.count)).sum();
        if hosts > HOSTS_MAX {
            self.wrong("fleet", format!("{hosts} hosts are more than the {HOSTS_MAX} that can be simulated"));
        }
        let tasks = fleet.task_count();
        if tasks > TASKS_MAX {
            self.wrong("fleet", format!("{tasks} tasks are more than the {TASKS_MAX} that can be simulated"));
        }
    }

    fn cluster(&mut self, place: &str, cluster: &Cluster) {
        for hosts in &cluster.hosts {
            if !matches!(hosts.status.as_str(), "ACTIVE" | "DRAINING") {
                self.wrong(place, format!("host status `{}` is neither ACTIVE nor DRAINING", hosts.status));
            }
        }
        let mut names = BTreeSet::new();
        for service in &cluster.services {
            let place = format!("{place}, service {}", service.name);
            self.name(&place, &service.name, &mut names);
            self.service(&place, cluster, service);
        }
        for standalone in &cluster.standalones {
            let place = format!("{place}, standalone {}", standalone.family);
            self.workload(
                &place,
                cluster,
                &Workload {
                    launch_type: standalone.launch_type,
                    mode: standalone.network_mode.unwrap_or(standalone.launch_type.usual_mode()),
                    ip: standalone.ip,
                    family: &standalone.family,
                    tasks: Some(standalone.tasks),
                    revision: standalone.revision,
                    containers: &standalone.containers,
                    overrides: &standalone.overrides,
                },
            );
        }
    }

    fn service(&mut self, place: &str, cluster: &Cluster, service: &Service) {
        if service.copies == 0 {
            self.wrong(place, "`copies` must be at least 1");
        }
        if service.scheduling == Scheduling::Daemon && service.launch_type == LaunchType::Fargate {
            self.wrong(place, "FARGATE has no DAEMON scheduling: there are no hosts to put a task on");
        }
        let primary = Workload {
            launch_type: service.launch_type,
            mode: service.network_mode.unwrap_or(service.launch_type.usual_mode()),
            ip: service.ip,
            family: service.family(),
            tasks: (service.scheduling == Scheduling::Replica).then_some(service.tasks),
            revision: service.revision,
            containers: &service.containers,
            overrides: &service.overrides,
        };
        self.workload(place, cluster, &primary);
        for older in &service.deployments {
            let place = format!("{place}, deployment of revision {}", older.revision);
            let containers =
                if older.containers.is_empty() { &service.containers } else { &older.containers };
            let workload = Workload {
                tasks: Some(older.tasks),
                revision: older.revision,
                containers,
                overrides: &older.overrides,
                ..primary
            };
            self.workload(&place, cluster, &workload);
        }
    }

    fn workload(&mut self, place: &str, cluster: &Cluster, workload: &Workload<'_>) {
        let Workload { launch_type, mode, .. } = *workload;
        if !launch_type.allows(mode) {
            self.wrong(
                place,
                format!("{} tasks have no network mode `{}`", launch_type.as_str(), mode.as_str()),
            );
        }
        if mode != NetworkMode::Awsvpc && workload.ip != IpVersion::V4 {
            self.wrong(
                place,
                format!("`ip` is for awsvpc; in mode `{}` it is the hosts' `ip`", mode.as_str()),
            );
        }
        if let Some(kind) = HostKind::for_tasks(launch_type)
            && workload.tasks != Some(0)
            && !cluster.hosts.iter().any(|hosts| hosts.kind == kind && hosts.count > 0)
        {
            self.wrong(
                place,
                format!("{} tasks need hosts of kind `{}`", launch_type.as_str(), kind.as_str()),
            );
        }
        if !is_name(workload.family) {
            self.wrong(place, format!("`{}` is not a task-definition family", workload.family));
        }
        if workload.revision == 0 {
            self.wrong(place, "revisions count from 1");
        }
        self.revision(place, workload);
        self.containers(place, mode, workload.containers);
        for task in workload.overrides {
            if task.number == 0 || workload.tasks.is_some_and(|tasks| task.number > tasks) {
                self.wrong(place, format!("there is no task number {} to override", task.number));
            }
            self.answers(place, task.answers.as_deref().unwrap_or_default());
        }
    }

    /// A revision never changes, so whoever names it must mean the same containers.
    fn revision(&mut self, place: &str, workload: &Workload<'_>) {
        let key = (workload.family.to_owned(), workload.revision);
        let Some((first, containers)) = self.revisions.get(&key) else {
            self.revisions.insert(key, (place.to_owned(), workload.containers.to_vec()));
            return;
        };
        let same = containers.len() == workload.containers.len()
            && containers.iter().zip(workload.containers).all(|(one, other)| one.defines_same(other));
        if !same {
            let problem = format!(
                "task definition {}:{} has other containers in {first}",
                workload.family, workload.revision
            );
            self.wrong(place, problem);
        }
    }

    fn containers(&mut self, place: &str, mode: NetworkMode, containers: &[Container]) {
        if containers.is_empty() {
            self.wrong(place, "a task needs a container");
        }
        let mut names = BTreeSet::new();
        for container in containers {
            let place = format!("{place}, container {}", container.name);
            self.name(&place, &container.name, &mut names);
            for mapping in &container.ports {
                if mode != NetworkMode::Bridge && mapping.host.is_some_and(|host| host != mapping.first) {
                    self.wrong(
                        &place,
                        format!("in mode `{}` the host port is the container port", mode.as_str()),
                    );
                }
                if mode == NetworkMode::Host && mapping.is_range {
                    self.wrong(&place, "port ranges need mode `bridge` or `awsvpc`");
                }
            }
            self.answers(&place, &container.answers);
        }
    }

    fn answers(&mut self, place: &str, answers: &[Answer]) {
        for answer in answers {
            if !(200..=599).contains(&answer.status) {
                self.wrong(place, format!("{} is not an HTTP status from 200 to 599", answer.status));
            }
            for (name, value) in &answer.headers {
                let valid =
                    http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
                if !valid {
                    self.wrong(place, format!("`{name}: {value}` is not an HTTP header"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(toml: &str) -> Vec<String> {
        match Fleet::from_toml(toml) {
            Ok(_) => Vec::new(),
            Err(FleetError::Mistakes(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
            Err(other) => vec![other.to_string()],
        }
    }

    /// A fleet of one service with one container, and `more` keys of the service.
    fn service(more: &str) -> String {
        format!(
            "[[cluster]]\nname = 'c'\nhosts = [{{}}]\n[[cluster.service]]\nname = 's'\n{more}\n\
             [[cluster.service.container]]\nname = 'app'\nports = [8080]"
        )
    }

    #[test]
    fn launch_types_keep_to_their_network_modes() {
        let check = |launch: &str, mode: &str, ok: bool| {
            let toml = service(&format!("launch_type = '{launch}'\nnetwork_mode = '{mode}'\ntasks = 0"));
            assert_eq!(mistakes(&toml).is_empty(), ok, "{launch} {mode}: {:?}", mistakes(&toml));
        };
        check("EC2", "bridge", true);
        check("EC2", "awsvpc", true);
        check("EC2", "none", true);
        check("FARGATE", "awsvpc", true);
        check("FARGATE", "bridge", false);
        check("EXTERNAL", "host", true);
        check("EXTERNAL", "awsvpc", false);
        check("MANAGED_INSTANCES", "host", true);
        check("MANAGED_INSTANCES", "bridge", false);
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let found = mistakes(
            "account = '12'\n[[cluster]]\nname = 'c'\n[[cluster.service]]\nname = 's'\ntasks = 2\n\
             [[cluster.service.task]]\nnumber = 3\n",
        );
        assert_eq!(
            found,
            [
                "fleet: `12` is not an account id of 12 digits",
                "cluster c, service s: EC2 tasks need hosts of kind `ec2`",
                "cluster c, service s: a task needs a container",
                "cluster c, service s: there is no task number 3 to override",
            ]
        );
    }

    #[test]
    fn a_revision_means_the_same_containers_everywhere() {
        let toml = service("")
            + "\n[[cluster.standalone]]\nfamily = 's'\n[[cluster.standalone.container]]\nname = 'app'\nports = [9]";
        assert_eq!(
            mistakes(&toml),
            ["cluster c, standalone s: task definition s:1 has other containers in cluster c, service s"]
        );
    }

    #[test]
    fn alarms_have_names_of_their_own() {
        let alarms = "alarm = [{ name = 'a' }, { name = 'a', state = 'ALARM' }, { name = '' }]";
        let expected = [
            "fleet: the alarm `a` is there twice",
            "fleet: the name of an alarm has from 1 to 255 characters",
        ];
        assert_eq!(mistakes(alarms), expected);
        assert!(mistakes("alarm = [{ name = 'a', state = 'RED' }]")[0].contains("unknown variant `RED`"));
    }

    #[test]
    fn unknown_fields_and_bad_ports_are_named() {
        let check = |toml: &str, part: &str| {
            let found = mistakes(toml).join(" ");
            assert!(found.contains(part), "{found}");
        };
        check("clusters = []", "unknown field `clusters`");
        check(&service("task = 3"), "task");
        check(&service("").replace("[8080]", "[0]"), "a port mapping is a port");
        check(&service("").replace("[8080]", "[{ range = '9-3' }]"), "port range `9-3` is not FIRST-LAST");
        check(&service("").replace("[8080]", "[{ container = 1, hosts = 2 }]"), "a port mapping is a port");
    }
}
