//! The demo's fleet, and how each of its services must end.
//!
//! One table makes both, so that they cannot differ by accident.

use notifier::report::Counts;

/// One service of the demo.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    /// What it shows, for people.
    pub(super) shows: &'static str,
    toml: String,
    /// How its containers must end.
    pub(super) counts: Counts,
    /// Requests that its containers must receive in all.
    pub(super) calls: usize,
}

/// The cast: nine services that each show something, and as many ordinary ones as asked for.
pub(super) fn cast(services: usize, tasks: usize) -> Vec<Role> {
    let mut cast = vec![
        role("checkout", "a deployment under way: two revisions, two ports, two paths", delivered(tasks + 1), tasks + 1)
            .toml(format!("revision = 8\ntasks = {tasks}\n{}{}", container(8080, "/v2/notify", ""), older())),
        role("search", "Fargate: each task has an address of its own", delivered(tasks), tasks)
            .toml(format!("launch_type = 'FARGATE'\ntasks = {tasks}\n{}", container(8080, "/notify", ""))),
        role("agent", "host network, one task on each host", delivered(HOSTS), HOSTS).toml(format!(
            "network_mode = 'host'\nscheduling = 'DAEMON'\n{}",
            container(9100, "/reload", "")
        )),
        role("payments", "fails twice, then works", delivered(2), 6).toml(format!(
            "launch_type = 'FARGATE'\ntasks = 2\n{}",
            container(8080, "/notify", "answers = [{ status = 503 }, { status = 503 }, { status = 202 }]\n")
        )),
        role("audit", "says no", Counts { rejected: 1, ..Counts::default() }, 1).toml(format!(
            "launch_type = 'FARGATE'\n{}",
            container(8080, "/notify", "answers = [{ status = 403 }]\n")
        )),
        role("mail", "one of two tasks is unhealthy", Counts { delivered: 1, skipped: 1, ..Counts::default() }, 1)
            .toml(format!(
                "launch_type = 'FARGATE'\ntasks = 2\n{}[[cluster.service.task]]\nnumber = 2\nhealth = 'UNHEALTHY'\n",
                container(8080, "/notify", "health_check = true\nhealth = 'HEALTHY'\n")
            )),
        role("catalog", "mislabelled: its port is no number", skipped(1), 0).toml(format!(
            "launch_type = 'FARGATE'\n{}",
            container(8080, "/notify", "").replace("'8080'", "'eighty'")
        )),
        role("batch", "no network at all", skipped(1), 0).toml(format!(
            "network_mode = 'none'\n{}",
            container(8080, "/notify", "").replace("ports = [8080]\n", "")
        )),
        role("frontend", "did not opt in", Counts::default(), 0).toml(
            "launch_type = 'FARGATE'\ntasks = 2\n[[cluster.service.container]]\nname = 'app'\nports = [8080]\n".into(),
        ),
        role("orders", "one of two tasks only starts", delivered(1), 1).toml(format!(
            "launch_type = 'FARGATE'\ntasks = 2\n{}[[cluster.service.task]]\nnumber = 2\nlast_status = 'PENDING'\n",
            container(8080, "/notify", "")
        )),
    ];
    cast.extend((1..=services).map(|number| {
        role(&format!("ordinary-{number}"), "an ordinary service", delivered(tasks), tasks)
            .toml(format!("tasks = {tasks}\n{}", container(8080, "/notify", "")))
    }));
    cast
}

/// The fleet file of this cast.
pub(super) fn fleet(cast: &[Role]) -> String {
    let mut toml = format!("[[cluster]]\nname = '{CLUSTER}'\n[[cluster.hosts]]\ncount = {HOSTS}\n");
    for Role { name, toml: service, .. } in cast {
        toml.extend(["[[cluster.service]]\nname = '", name, "'\n", service]);
    }
    toml
}

/// Name of the demo's cluster.
pub(super) const CLUSTER: &str = "demo";
/// Container instances of the demo's cluster.
const HOSTS: usize = 3;

fn role(name: &str, shows: &'static str, counts: Counts, calls: usize) -> Role {
    Role { name: name.to_owned(), shows, toml: String::new(), counts, calls }
}

impl Role {
    fn toml(self, toml: String) -> Self {
        Self { toml, ..self }
    }
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

/// What the rolling deployment replaces.
fn older() -> String {
    let container =
        container(8000, "/v1/notify", "").replace("service.container", "service.deployment.container");
    format!("[[cluster.service.deployment]]\nrevision = 7\ntasks = 1\n{container}")
}
