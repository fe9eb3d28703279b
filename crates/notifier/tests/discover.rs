//! Stages 1 and 2 over the wire: the real SDK against the simulator. Who is found, who is not and why, and how many calls
//! that takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use notifier::aws::Aws;
use notifier::aws::budget::Budget;
use notifier::fleet::{Discovery, DiscoveryError, DiscoveryPolicy, HealthPolicy, SERVICES_NAMED_MAX};
use notifier::model::network::Networks;
use notifier::model::{DiscoveryMethod, Fleet};
use simulator::faults::{Fault, When};
use simulator::{Options, Simulator};
use wire::{Broadcast, BroadcastId, Draft, ObserverMessage};

/// A cluster `prod` with what `toml` says of it, at addresses where nothing listens.
async fn prod(toml: &str) -> Setup {
    let toml = format!("addresses = 'private'\n[[cluster]]\nname = 'prod'\n{toml}");
    let fleet = simulator::Fleet::from_toml(&toml).unwrap();
    let sim = Simulator::start(fleet, Options::default()).await.unwrap();
    let aws = Aws::at(&sim.url(), "us-east-1");
    let discovery = Discovery::new(&aws, HealthPolicy::Detect, Networks::default());
    Setup { sim, discovery }
}

struct Setup {
    sim: Simulator,
    discovery: Discovery,
}

impl Setup {
    async fn fleet(&self, scope: &ObserverMessage) -> Fleet {
        self.discovery.fleet(scope).await.unwrap()
    }

    /// What the stages find: stage 1, then stage 2 for each of its messages. A sweep finds the same.
    async fn by_stages(&self, scope: &ObserverMessage) -> Fleet {
        let fleet = staged(&self.discovery, scope).await;
        let swept = staged(&self.with(DiscoveryPolicy::Sweep), scope).await;
        assert_eq!((&swept.endpoints, &swept.skips), (&fleet.endpoints, &fleet.skips));
        fleet
    }

    /// Discovery that finds the tasks in this way.
    fn with(&self, method: DiscoveryPolicy) -> Discovery {
        let aws = Aws::at(&self.sim.url(), "us-east-1");
        Discovery::new(&aws, HealthPolicy::Detect, Networks::default()).with_method(method)
    }

    /// Requests so far, by operation.
    fn calls(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in self.sim.calls() {
            *counts.entry(call.operation).or_default() += 1;
        }
        counts
    }
}

async fn staged(discovery: &Discovery, scope: &ObserverMessage) -> Fleet {
    let services = discovery.services(scope, &broadcast()).await.unwrap();
    let mut fleet = Fleet { skips: services.skips, ..Fleet::default() };
    for message in &services.messages {
        fleet.extend(discovery.tasks(message).await.unwrap());
    }
    fleet.sort();
    fleet
}

fn broadcast() -> Broadcast {
    let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
    Broadcast::new(Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap())
}

fn whole() -> ObserverMessage {
    ObserverMessage::new("prod")
}

fn only(services: &[&str]) -> ObserverMessage {
    let mut scope = whole();
    scope.services = services.iter().map(|s| (*s).to_owned()).collect();
    scope
}

/// So many services that the cluster does not have.
fn invented(count: usize) -> ObserverMessage {
    let mut scope = whole();
    scope.services = (0..count).map(|number| format!("invented-{number}")).collect();
    scope
}

/// A service with one container, opted in at this port.
fn service(name: &str, launch_type: &str, tasks: u32, port: u16) -> String {
    format!(
        "[[cluster.service]]\nname = '{name}'\nlaunch_type = '{launch_type}'\ntasks = {tasks}\n{}",
        container("app", port)
    )
}

fn container(name: &str, port: u16) -> String {
    format!(
        "[[cluster.service.container]]\nname = '{name}'\nports = [{port}]\n\
         labels = {{ NOTIFY_ME_CONTAINER_PORT = '{port}', NOTIFY_ME_API_URI = '/notify' }}\n"
    )
}

fn hosts(count: u32) -> String {
    format!("[[cluster.hosts]]\ncount = {count}\n")
}

/// How many endpoints each service has, and the reasons of everything else, without repeats.
fn summary(fleet: &Fleet) -> Vec<String> {
    let mut endpoints = BTreeMap::<String, u32>::new();
    for endpoint in &fleet.endpoints {
        let of =
            format!("{}/{} {}", endpoint.member.service, endpoint.member.container, endpoint.target.path);
        *endpoints.entry(of).or_default() += 1;
    }
    let endpoints = endpoints.into_iter().map(|(of, count)| format!("{of} x{count}"));
    let rest: BTreeSet<String> = fleet
        .skips
        .iter()
        .map(|skip| format!("{}: {}", skip.member.service, skip.reason.as_deref().unwrap()))
        .chain(fleet.not_targeted.iter().map(|one| format!("{}: {}", one.member.service, one.reason)))
        .collect();
    endpoints.chain(rest).collect()
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

#[tokio::test]
async fn every_launch_type_and_network_mode_is_found() {
    let toml = [
        hosts(2),
        "[[cluster.hosts]]\nkind = 'anywhere'\n".to_owned(),
        "[[cluster.hosts]]\nkind = 'managed'\n".to_owned(),
        service("bridge", "EC2", 3, 8080),
        service("fargate", "FARGATE", 2, 8080),
        service("managed", "MANAGED_INSTANCES", 1, 8080),
        service("anywhere", "EXTERNAL", 1, 8080),
        service("host", "EC2", 2, 9100).replace("tasks", "network_mode = 'host'\ntasks"),
        service("none", "EC2", 1, 8080).replace("tasks", "network_mode = 'none'\ntasks").replace("ports = [8080]\n", ""),
        "[[cluster.service]]\nname = 'quiet'\nlaunch_type = 'FARGATE'\n[[cluster.service.container]]\nname = 'app'\n".to_owned(),
    ]
    .concat();
    let setup = prod(&toml).await;
    let fleet = setup.fleet(&whole()).await;
    let found = summary(&fleet);
    let anywhere = found.iter().position(|line| line.starts_with("anywhere")).unwrap();
    assert!(found[anywhere].contains("is outside AWS (ECS Anywhere)"), "{found:?}");
    let rest: Vec<&str> =
        found.iter().filter(|line| !line.starts_with("anywhere")).map(String::as_str).collect();
    assert_eq!(
        rest,
        [
            "bridge/app /notify x3",
            "fargate/app /notify x2",
            "host/app /notify x2",
            "managed/app /notify x1",
            "none: network mode `none` has no address",
            "quiet: did not opt in",
        ]
    );
    let distinct: BTreeSet<_> = fleet.endpoints.iter().map(|endpoint| endpoint.address).collect();
    assert_eq!(distinct.len(), fleet.endpoints.len(), "every endpoint has an address of its own");
}

#[tokio::test]
async fn the_queues_route_finds_the_same_endpoints_and_skips_as_the_direct_one() {
    let toml = [
        hosts(2),
        service("web", "EC2", 4, 8080),
        "[[cluster.service.deployment]]\nrevision = 2\ntasks = 3\n".to_owned(),
        container("app", 9090)
            .replace("service.container", "service.deployment.container")
            .replace("/notify", "/v2"),
        service("wrong", "FARGATE", 2, 8080).replace("'8080', N", "'abc', N"),
        service("api", "FARGATE", 1, 80),
        container("b", 81),
        container("c", 82),
    ]
    .concat();
    let setup = prod(&toml).await;
    let (direct, staged) = (setup.fleet(&whole()).await, setup.by_stages(&whole()).await);
    assert_eq!(direct, staged);
    assert_eq!(
        summary(&direct),
        [
            "api/app /notify x1",
            "api/b /notify x1",
            "api/c /notify x1",
            "web/app /notify x4",
            "web/app /v2 x3",
            "wrong: label NOTIFY_ME_CONTAINER_PORT: `abc` is not a port (1-65535)",
        ]
    );
    assert_eq!(direct.skips.len(), 2, "each task of the mislabelled service is reported");
}

#[tokio::test]
async fn ipv6_only_tasks_are_found_at_their_ipv6_address() {
    let setup = prod(&service("six", "FARGATE", 2, 8080).replace("tasks", "ip = 'v6'\ntasks")).await;
    let fleet = setup.fleet(&whole()).await;
    assert_eq!(fleet.endpoints.len(), 2);
    assert!(fleet.endpoints.iter().all(|endpoint| endpoint.address.is_ipv6()));
}

#[tokio::test]
async fn a_fargate_cluster_asks_nothing_about_hosts() {
    let setup = prod(&service("web", "FARGATE", 250, 8080)).await;
    assert_eq!(setup.fleet(&whole()).await.endpoints.len(), 250);
    assert_eq!(
        setup.calls(),
        counts(&[("DescribeTaskDefinition", 1), ("DescribeTasks", 3), ("ListTasks", 3)]),
        "250 tasks are three pages and three batches"
    );
}

#[tokio::test]
async fn a_hundred_and_one_hosts_are_two_batches_and_never_asked_for_again() {
    let daemon = service("agent", "EC2", 1, 9100)
        .replace("tasks", "network_mode = 'host'\nscheduling = 'DAEMON'\ntasks");
    let setup = prod(&[hosts(101), daemon].concat()).await;
    assert_eq!(setup.fleet(&whole()).await.endpoints.len(), 101);
    let once = counts(&[
        ("DescribeContainerInstances", 2),
        ("DescribeInstances", 2),
        ("DescribeTaskDefinition", 1),
        ("DescribeTasks", 2),
        ("ListTasks", 2),
    ]);
    assert_eq!(setup.calls(), once);
    setup.sim.reset_calls();
    assert_eq!(setup.fleet(&whole()).await.endpoints.len(), 101);
    assert_eq!(setup.calls(), counts(&[("DescribeTasks", 2), ("ListTasks", 2)]));
}

#[tokio::test]
async fn a_thousand_and_one_services_take_no_more_calls_than_their_pages() {
    let setup = prod(&service("s", "FARGATE", 1, 8080).replace("tasks", "copies = 1001\ntasks")).await;
    assert_eq!(setup.fleet(&whole()).await.endpoints.len(), 1_001);
    let direct = [("DescribeTaskDefinition", 1_001), ("DescribeTasks", 11), ("ListTasks", 11)];
    assert_eq!(setup.calls(), counts(&direct));

    let stages = |method| {
        setup.sim.reset_calls();
        let discovery = setup.with(method);
        let setup = &setup;
        async move {
            let services = discovery.services(&whole(), &broadcast()).await.unwrap();
            (services.found.method, services.messages.len(), setup.calls())
        }
    };
    let pages = counts(&[("DescribeClusters", 1), ("ListTasks", 11)]);
    assert_eq!(stages(DiscoveryPolicy::Auto).await, (DiscoveryMethod::Sweep, 11, pages));
    let each = counts(&[("DescribeServices", 101), ("DescribeTaskDefinition", 1_001), ("ListServices", 11)]);
    assert_eq!(stages(DiscoveryPolicy::Services).await, (DiscoveryMethod::Services, 1_001, each));
}

#[tokio::test]
async fn many_named_services_of_a_small_cluster_are_swept_and_invented_names_cost_a_tenth_of_a_call() {
    let setup = prod(&service("s", "FARGATE", 1, 8080).replace("tasks", "copies = 50\ntasks")).await;
    let mut scope = invented(100);
    scope.services.extend((1..=40).map(|number| format!("s-{number}")));
    let found = setup.fleet(&scope).await;
    assert_eq!((found.endpoints.len(), found.skips.len()), (40, 100));
    let look = [("DescribeClusters", 1), ("DescribeServices", 14), ("ListServices", 1), ("ListTasks", 1)];
    let tasks = [("DescribeTaskDefinition", 40), ("DescribeTasks", 1)];
    assert_eq!(setup.calls(), counts(&[look.as_slice(), &tasks].concat()));

    setup.sim.reset_calls();
    let services = setup.discovery.services(&scope, &broadcast()).await.unwrap();
    assert_eq!((services.found.method, services.skips.len()), (DiscoveryMethod::Sweep, 100));
    assert_eq!(setup.calls(), counts(&look));
    assert_eq!(setup.by_stages(&scope).await.endpoints.len(), 40);
}

#[tokio::test]
async fn discovery_that_is_cut_off_goes_on_where_it_was() {
    const REVISIONS: u64 = 110;
    let toml = service("s", "FARGATE", 1, 8080).replace("tasks", "copies = 110\ntasks");
    let sim = prod(&toml).await.sim;
    // Fifty revisions at once, then twenty a second.
    let aws = Aws { budget: Budget::percent(100), ..Aws::at(&sim.url(), "us-east-1") };
    let discovery = Discovery::new(&aws, HealthPolicy::Detect, Networks::default())
        .with_method(DiscoveryPolicy::Services);
    let read = || sim.calls().iter().filter(|call| call.operation == "DescribeTaskDefinition").count() as u64;
    let (scope, broadcast) = (whole(), broadcast());
    let cut_off = tokio::select! {
        _ = discovery.services(&scope, &broadcast) => false,
        () = async { while read() < 60 { tokio::time::sleep(Duration::from_millis(10)).await } } => true,
    };
    assert!(cut_off, "it was done before it was cut off");
    let found = discovery.services(&scope, &broadcast).await.unwrap();
    assert_eq!(found.messages.len() as u64, REVISIONS);
    // Only the calls in flight are repeated.
    assert!((REVISIONS..=REVISIONS + 8).contains(&read()), "{} revisions were read", read());
}

#[tokio::test]
async fn an_empty_cluster_has_an_empty_fleet_and_an_unknown_one_is_an_error() {
    let setup = prod("").await;
    assert_eq!(setup.fleet(&whole()).await, Fleet::default());
    let unknown = ObserverMessage::new("prid");
    let error = setup.discovery.fleet(&unknown).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no cluster `prid` in this account and region");
    assert!(error.is_final());
    let error = setup.discovery.services(&unknown, &broadcast()).await.unwrap_err();
    assert_eq!((error.code(), error.is_final()), ("cluster-not-found", true));
}

#[tokio::test]
async fn tasks_that_do_not_run_are_named_and_not_called() {
    let toml = [
        service("web", "FARGATE", 4, 8080),
        "[[cluster.service.task]]\nnumber = 1\nlast_status = 'PENDING'\n".to_owned(),
        "[[cluster.service.task]]\nnumber = 2\nlast_status = 'RUNNING'\ndesired_status = 'STOPPED'\n"
            .to_owned(),
        "[[cluster.service.task]]\nnumber = 3\nstop_after_listing = true\n".to_owned(),
    ]
    .concat();
    let setup = prod(&toml).await;
    let fleet = setup.fleet(&whole()).await;
    // The draining task is not in ECS's list of tasks that shall run.
    assert_eq!(
        summary(&fleet),
        ["web/app /notify x1", "web: the task is PENDING", "web: the task is STOPPED"]
    );
}

#[tokio::test]
async fn what_ecs_does_not_know_yet_is_asked_for_again() {
    let setup = prod(&service("web", "FARGATE", 3, 8080)).await;
    for operation in ["DescribeServices", "DescribeTasks"] {
        setup.sim.faults().order(operation, When::First(2), Fault::DropEntry);
    }
    assert_eq!(summary(&setup.by_stages(&whole()).await), ["web/app /notify x3"]);
}

#[tokio::test]
async fn a_misspelt_label_is_a_skip_and_not_a_silent_opt_out() {
    let toml = [
        service("both", "FARGATE", 1, 80)
            .replace("_CONTAINER_PORT", "_CONTAINERPORT")
            .replace("_API_URI", "_API_URL"),
        service("method", "FARGATE", 1, 80).replace("labels = { ", "labels = { NOTIFY_ME_METHDO = 'GET', "),
        "[[cluster.service]]\nname = 'optional'\nlaunch_type = 'FARGATE'\n[[cluster.service.container]]\n\
         name = 'app'\nlabels = { NOTIFY_ME_METHOD = 'GET' }\n"
            .to_owned(),
        service("path", "FARGATE", 1, 80).replace("/notify", "/%zz"),
    ]
    .concat();
    let setup = prod(&toml).await;
    let (direct, staged) = (setup.fleet(&whole()).await, setup.by_stages(&whole()).await);
    assert_eq!(direct, staged);
    assert_eq!(
        summary(&direct),
        [
            "both: label `NOTIFY_ME_API_URL` is unknown; did you mean NOTIFY_ME_API_URI?",
            "method: label `NOTIFY_ME_METHDO` is unknown; did you mean NOTIFY_ME_METHOD?",
            "optional: label NOTIFY_ME_METHOD is set, but NOTIFY_ME_CONTAINER_PORT is missing",
            "path: label NOTIFY_ME_API_URI: `/%zz` has a `%` without two hexadecimal digits after it; \
             a `%` itself is written `%25`",
        ]
    );
}

#[tokio::test]
async fn a_task_that_ecs_forgets_between_listing_and_describing_is_named() {
    let setup = prod(&service("web", "FARGATE", 3, 8080)).await;
    // Asked for four times: all three are missing, and then one of them.
    setup.sim.faults().order("DescribeTasks", When::First(10), Fault::DropEntry);
    let fleet = staged(&setup.discovery, &whole()).await;
    assert_eq!(summary(&fleet), ["web/app /notify x2", "web: the task stopped after it was listed"]);
}

#[tokio::test]
async fn named_services_narrow_the_scope_and_an_unknown_one_is_a_skip() {
    let setup = prod(&[service("a", "FARGATE", 2, 80), service("b", "FARGATE", 2, 80)].concat()).await;
    let expected = ["b/app /notify x2", "typo: the cluster has no service of this name"];
    assert_eq!(summary(&setup.fleet(&only(&["b", "typo", "b"])).await), expected);
    assert_eq!(summary(&setup.by_stages(&only(&["b", "typo", "b"])).await), expected);
}

#[tokio::test]
async fn names_that_a_sender_made_up_cost_one_look_each() {
    let setup = prod(&service("web", "FARGATE", 1, 80)).await;
    let scope = invented(SERVICES_NAMED_MAX);
    let found = setup.discovery.services(&scope, &broadcast()).await.unwrap();
    assert_eq!((found.messages.len(), found.skips.len()), (0, SERVICES_NAMED_MAX));
    let once = counts(&[("DescribeServices", 100), ("ListServices", 1)]);
    assert_eq!(
        setup.calls(),
        once,
        "ten names a call; the list knows none of them, so none is asked for again"
    );
}

#[tokio::test]
async fn a_named_service_that_ecs_lists_is_asked_for_until_ecs_knows_it() {
    let setup = prod(&service("web", "FARGATE", 3, 8080)).await;
    setup.sim.faults().order("DescribeServices", When::First(3), Fault::DropEntry);
    assert_eq!(summary(&setup.by_stages(&only(&["web"])).await), ["web/app /notify x3"]);
}

#[tokio::test]
async fn a_scope_of_too_many_names_is_refused_before_ecs_is_asked() {
    let setup = prod(&service("web", "FARGATE", 1, 80)).await;
    let scope = invented(SERVICES_NAMED_MAX + 1);
    let staged = setup.discovery.services(&scope, &broadcast()).await.unwrap_err();
    let direct = setup.discovery.fleet(&scope).await.unwrap_err();
    for error in [staged, direct] {
        assert_eq!((error.code(), error.is_final()), ("too-many-services", true));
        let expected = "the scope has 1001 services, but a broadcast can name at most 1000: \
             send several broadcasts, or notify the whole cluster";
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(setup.calls(), counts(&[]));
}

#[tokio::test]
async fn a_broadcast_does_not_wait_behind_all_the_names_of_others() {
    const CROWD: u64 = 4;
    let toml = service("s", "FARGATE", 1, 8080).replace("tasks", "copies = 10\ntasks");
    let sim = prod(&toml).await.sim;
    let aws = Aws { budget: Budget::percent(100), ..Aws::at(&sim.url(), "us-east-1") };
    let discovery = Arc::new(Discovery::new(&aws, HealthPolicy::Detect, Networks::default()));
    // The revisions are known: they draw on another share of the budget.
    assert_eq!(discovery.services(&whole(), &broadcast()).await.unwrap().messages.len(), 10);
    sim.reset_calls();
    let described = || sim.calls().iter().filter(|call| call.operation == "DescribeServices").count() as u64;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let discovery = Arc::clone(&discovery);
        let scope = invented(SERVICES_NAMED_MAX);
        crowd.spawn(async move { discovery.services(&scope, &broadcast()).await.unwrap().skips.len() });
    }
    // The burst of the budget is used up: from now on, every call waits.
    while described() < 90 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = described();
    let found = discovery.services(&whole(), &broadcast()).await.unwrap();
    assert_eq!(found.messages.len(), 10);
    // One call for the list and one for its ten services, each behind one call of every other message, what was on its
    // way already, and on a busy machine a few more while the answers travel. Behind all calls that wait, it would be 64:
    // eight of each message, twice. `budget` proves the turns in time that passes at once.
    let meanwhile = described() - before;
    assert!(meanwhile < 2 * 8 * CROWD, "{meanwhile} calls passed");
    crowd.abort_all();
}

#[tokio::test]
async fn standalone_tasks_count_when_asked_for() {
    let toml = [
        service("web", "FARGATE", 1, 80),
        "[[cluster.standalone]]\nfamily = 'job'\nlaunch_type = 'FARGATE'\ntasks = 2\n".to_owned(),
        container("app", 8080).replace("service.container", "standalone.container"),
    ]
    .concat();
    let setup = prod(&toml).await;
    assert_eq!(summary(&setup.fleet(&whole()).await), ["web/app /notify x1"]);
    let mut with = whole();
    with.standalone = true;
    let expected = ["family:job/app /notify x2", "web/app /notify x1"];
    assert_eq!(summary(&setup.fleet(&with).await), expected);
    assert_eq!(summary(&setup.by_stages(&with).await), expected);
}

#[tokio::test]
async fn services_with_other_deployment_controllers_are_found_by_their_task_sets() {
    let toml = [
        service("blue", "FARGATE", 2, 80).replace("tasks", "controller = 'CODE_DEPLOY'\ntasks"),
        service("custom", "FARGATE", 2, 80).replace("tasks", "controller = 'EXTERNAL'\ntasks"),
    ]
    .concat();
    let setup = prod(&toml).await;
    assert_eq!(summary(&setup.by_stages(&whole()).await), ["blue/app /notify x2", "custom/app /notify x2"]);
}

#[tokio::test]
async fn a_throttle_slows_discovery_down_and_loses_nothing() {
    let setup = prod(&service("web", "FARGATE", 250, 8080)).await;
    setup.sim.faults().order("*", When::Every(3), Fault::Throttle);
    assert_eq!(setup.fleet(&whole()).await.endpoints.len(), 250);
}

#[tokio::test]
async fn an_answer_that_never_comes_right_is_an_error_to_try_again() {
    let setup = prod(&service("web", "FARGATE", 1, 8080)).await;
    setup.sim.faults().order("DescribeTasks", When::Always, Fault::Fail);
    let error = setup.discovery.fleet(&whole()).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Ecs(_)) && !error.is_final(), "{error:?}");
}
