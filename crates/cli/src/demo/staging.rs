//! The demo's fleet, and the expected result of each service. Both come from one table.

use notifier::report::Counts;

/// Name of the demo's cluster.
pub(super) const CLUSTER: &str = "demo";
/// Container instances of the demo's cluster.
const HOSTS: usize = 3;
/// The description of a service without a special case.
const ORDINARY: &str = "an ordinary service (bridge)";

/// One service of the demo.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    /// The case that it shows, for people.
    pub(super) shows: &'static str,
    /// The expected outcomes.
    pub(super) counts: Counts,
    /// The expected number of calls of each task that receives any.
    pub(super) calls: Vec<usize>,
    toml: String,
}

impl Role {
    /// Whether it shows no special case.
    pub(super) fn is_ordinary(&self) -> bool {
        self.shows == ORDINARY
    }
}

/// The cast: a service for each case, and this number of ordinary services.
pub(super) fn cast(services: usize, tasks: usize) -> Vec<Role> {
    let mut cast = well(tasks);
    cast.extend(badly());
    cast.extend(uncalled());
    cast.extend((1..=services).map(|number| {
        let toml = format!("tasks = {tasks}\n{}", container(8080, "/notify", ""));
        role(&format!("ordinary-{number}"), ORDINARY, delivered(tasks), &vec![1; tasks], &toml)
    }));
    cast
}

/// Services that are notified.
fn well(tasks: usize) -> Vec<Role> {
    let sidecar = "[[cluster.service.container]]\nname = 'log-router'\n";
    let fargate = |tasks: usize, more: &str| {
        format!("launch_type = 'FARGATE'\ntasks = {tasks}\n{}", container(8080, "/notify", more))
    };
    vec![
        role(
            "checkout",
            "two revisions, two ports (bridge)",
            delivered(tasks + 1),
            &vec![1; tasks + 1],
            &format!(
                "revision = 8\ntasks = {tasks}\n{}{sidecar}[[cluster.service.deployment]]\nrevision = 7\ntasks = 1\n{}",
                container(8080, "/v2/notify", ""),
                container(8000, "/v1/notify", "")
                    .replace("service.container", "service.deployment.container"),
            ),
        ),
        role("search", "an address each (Fargate)", delivered(tasks), &vec![1; tasks], &fargate(tasks, "")),
        role(
            "agent",
            "one on each host (host mode)",
            delivered(HOSTS),
            &[1; HOSTS],
            &format!("network_mode = 'host'\nscheduling = 'DAEMON'\n{}", container(9100, "/reload", "")),
        ),
        role(
            "pricing",
            "fails twice, then works",
            delivered(2),
            &[3, 3],
            &fargate(2, "answers = [{ status = 503 }, { status = 503 }, { status = 202 }]\n"),
        ),
        role(
            "classic",
            "is called by a bare GET",
            delivered(1),
            &[1],
            &fargate(1, "method = 'GET'\n").replace("labels = { ", "labels = { NOTIFY_ME_METHOD = 'GET', "),
        ),
        role(
            "sessions",
            "one of two is stopping: it answers 410",
            Counts { delivered: 1, gone: 1, ..Counts::default() },
            &[1, 1],
            &(fargate(2, "") + "[[cluster.service.task]]\nnumber = 2\nanswers = [{ status = 410 }]\n"),
        ),
        role(
            "orders",
            "one runs, one starts, one drains",
            delivered(1),
            &[1],
            &(fargate(3, "")
                + "[[cluster.service.task]]\nnumber = 2\nlast_status = 'PENDING'\n\
                   [[cluster.service.task]]\nnumber = 3\nlast_status = 'RUNNING'\ndesired_status = 'STOPPED'\n"),
        ),
    ]
}

/// Services that are called but not notified.
fn badly() -> [Role; 2] {
    let counts = Counts::default();
    [
        role(
            "audit",
            "rejects: it is not retried",
            Counts { rejected: 1, ..counts },
            &[1],
            &format!(
                "launch_type = 'FARGATE'\n{}",
                container(8080, "/notify", "answers = [{ status = 403, body = 'not allowed to reload' }]\n")
            ),
        ),
        role(
            "legacy",
            "refuses connections, three times",
            Counts { failed: 1, ..counts },
            &[],
            &container(8080, "/notify", "refuse = true\n"),
        ),
    ]
}

/// Services, or tasks of them, that cannot or must not be called.
fn uncalled() -> [Role; 4] {
    [
        role(
            "mail",
            "one of two is unhealthy",
            Counts { delivered: 1, ..skipped(1) },
            &[1],
            &format!(
                "launch_type = 'FARGATE'\ntasks = 2\n{}[[cluster.service.task]]\nnumber = 2\nhealth = 'UNHEALTHY'\n",
                container(8080, "/notify", "health_check = true\nhealth = 'HEALTHY'\n")
            ),
        ),
        role(
            "catalog",
            "wrong label: its port is not a number",
            skipped(1),
            &[],
            &format!(
                "launch_type = 'FARGATE'\n{}",
                container(8080, "/notify", "").replace("'8080'", "'eighty'")
            ),
        ),
        role(
            "batch",
            "opted in without a network",
            skipped(1),
            &[],
            &format!(
                "network_mode = 'none'\n{}",
                container(8080, "/notify", "").replace("ports = [8080]\n", "")
            ),
        ),
        role(
            "frontend",
            "did not opt in",
            Counts::default(),
            &[],
            "launch_type = 'FARGATE'\ntasks = 2\n[[cluster.service.container]]\nname = 'app'\nports = [8080]\n",
        ),
    ]
}

/// The fleet file of this cast.
pub(super) fn fleet(cast: &[Role]) -> String {
    let mut toml = format!("[[cluster]]\nname = '{CLUSTER}'\n[[cluster.hosts]]\ncount = {HOSTS}\n");
    for Role { name, toml: service, .. } in cast {
        toml.extend(["[[cluster.service]]\nname = '", name, "'\n", service]);
    }
    toml
}

fn role(name: &str, shows: &'static str, counts: Counts, calls: &[usize], toml: &str) -> Role {
    Role { name: name.to_owned(), shows, counts, calls: calls.to_vec(), toml: toml.to_owned() }
}

fn delivered(delivered: usize) -> Counts {
    Counts { delivered, ..Counts::default() }
}

fn skipped(skipped: usize) -> Counts {
    Counts { skipped, ..Counts::default() }
}

fn container(port: u16, path: &str, more: &str) -> String {
    format!(
        "[[cluster.service.container]]\nname = 'app'\nports = [{port}]\npath = '{path}'\n\
         labels = {{ NOTIFY_ME_CONTAINER_PORT = '{port}', NOTIFY_ME_API_URI = '{path}' }}\n{more}"
    )
}
