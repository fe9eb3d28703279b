//! Several accounts and regions: the real SDK against the simulator.

use std::time::{Duration, Instant};

use simulator::faults::{Fault, When};
use simulator::{Fleet as Described, Options, Outcome, Role, Simulator};
use wire::{BroadcastId, Draft};

use super::*;
use crate::aws::budget::Budget;
use crate::aws::roles::Roles;
use crate::aws::{AwsError, AwsErrorKind};

const OTHER: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/notify";
/// Equal clusters: in the account and region of the process, in another region, and in another account.
const CLUSTERS: [&str; 3] = [
    "prod",
    "arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
    "arn:aws:ecs:eu-west-1:444455556666:cluster/prod",
];
const HERE: usize = 0;
const OTHER_REGION: usize = 1;
const OTHER_ACCOUNT: usize = 2;

/// A cluster `prod` of these tasks, half of them on a host, at addresses where nothing listens. Equal numbers of tasks
/// have equal ids and addresses.
fn prod(account: &str, region: &str, tasks: u32) -> Described {
    let service = |name: &str, more: &str| {
        format!(
            "[[cluster.service]]\nname = '{name}'\ntasks = {tasks}\n{more}\n[[cluster.service.container]]\nname = 'app'\n\
             ports = [8080]\nlabels = {{ NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/{account}/{region}' }}\n"
        )
    };
    let toml = format!(
        "region = '{region}'\naccount = '{account}'\naddresses = 'private'\n[[cluster]]\nname = 'prod'\n\
         tags = {{ team = 'shop', account = '{account}' }}\n[[cluster.hosts]]\n{}{}",
        service("fargate", "launch_type = 'FARGATE'"),
        service("bridge", "")
    );
    Described::from_toml(&toml).unwrap()
}

async fn simulator(role: Role) -> Simulator {
    let elsewhere = vec![prod("111122223333", "eu-west-1", 2), prod(OTHER, "eu-west-1", 3)];
    let options = Options { elsewhere, roles: vec![role], ..Options::default() };
    Simulator::start(prod("111122223333", "us-east-1", 1), options).await.unwrap()
}

fn role() -> Role {
    Role { arn: ROLE.to_owned(), ..Role::default() }
}

fn aws(sim: &Simulator) -> Aws {
    Aws { roles: ROLE.parse().unwrap(), ..Aws::at(&sim.url(), "us-east-1") }
}

fn discovery(aws: &Aws) -> Discovery {
    Discovery::new(aws, HealthPolicy::Detect, Networks::default())
}

async fn fleet(discovery: &Discovery, cluster: &str) -> Result<Fleet, DiscoveryError> {
    discovery.fleet(&ObserverMessage::new(cluster)).await
}

/// Checks that a fleet is that of this cluster and no other.
#[track_caller]
fn is_of(place: usize, fleet: &Fleet) {
    let (account, region) =
        [("111122223333", "us-east-1"), ("111122223333", "eu-west-1"), (OTHER, "eu-west-1")][place];
    let found: Vec<_> = fleet.endpoints.iter().map(|one| (&one.member.task, &one.target.path)).collect();
    assert_eq!(found.len(), 2 * (place + 1), "{found:?}");
    for (task, path) in found {
        assert!(task.starts_with(&format!("arn:aws:ecs:{region}:{account}:task/prod/")), "{task}");
        assert_eq!(*path, format!("/{account}/{region}"));
    }
    assert!(fleet.skips.is_empty(), "{:?}", fleet.skips);
}

fn refusals(sim: &Simulator) -> Vec<(String, String)> {
    let refused = |call: simulator::Call| match call.outcome {
        Outcome::Refused { code, .. } => Some((call.operation, code)),
        _ => None,
    };
    sim.calls().into_iter().filter_map(refused).collect()
}

#[tokio::test]
async fn equal_clusters_of_two_accounts_and_regions_are_never_mixed() {
    let sim = simulator(role()).await;
    let discovery = discovery(&aws(&sim));
    let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
    let broadcast = Broadcast::new(Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap());
    let by_stages = async |cluster: &str| {
        let services = discovery.services(&ObserverMessage::new(cluster), &broadcast).await.unwrap();
        let mut fleet = Fleet::default();
        for message in &services.messages {
            assert_eq!(message.cluster(), cluster);
            fleet.extend(discovery.tasks(message).await.unwrap());
        }
        fleet.sort();
        fleet
    };
    // All at the same time: each place has its own caches and batches.
    let wholes = futures_util::future::join_all(CLUSTERS.map(|cluster| fleet(&discovery, cluster))).await;
    for (place, whole) in wholes.into_iter().enumerate() {
        let whole = whole.unwrap();
        is_of(place, &whole);
        assert_eq!(whole, by_stages(CLUSTERS[place]).await, "{place}");
        assert_eq!(discovery.service_names(CLUSTERS[place]).await.unwrap(), ["fargate", "bridge"]);
    }
    let of_role = sim.calls().into_iter().filter(|call| call.account == OTHER);
    assert!(of_role.clone().all(|call| call.region == "eu-west-1" && call.operation != "AssumeRole"));
    assert!(of_role.count() > 0);
    assert_eq!((sim.count("AssumeRole"), sim.count("GetCallerIdentity")), (1, 1));
    assert_eq!(refusals(&sim), []);
}

#[tokio::test]
async fn a_container_is_looked_up_again_in_its_own_account_and_region() {
    let sim = simulator(role()).await;
    let discovery = discovery(&aws(&sim));
    let mut endpoints = Vec::new();
    for cluster in CLUSTERS {
        endpoints.extend(fleet(&discovery, cluster).await.unwrap().endpoints);
    }
    let recheck =
        async |endpoint: &Endpoint| discovery.recheck(&endpoint.member, Some(endpoint)).await.unwrap();
    let found = futures_util::future::join_all(endpoints.iter().map(recheck)).await;
    for (endpoint, found) in endpoints.iter().zip(found) {
        let Recheck::At(found) = found else { panic!("{found:?}") };
        assert_eq!((&found.member, found.address), (&endpoint.member, endpoint.address));
    }
    // The same id runs in all three.
    let id = endpoints[0].member.task.rsplit('/').next().unwrap();
    let is_other = |one: &&Endpoint| one.member.task.contains(OTHER) && one.member.task.ends_with(id);
    let stopped = &endpoints.iter().find(is_other).unwrap().member.task;
    sim.stop_task(stopped).await.unwrap();
    let same_id: Vec<_> = endpoints.iter().filter(|one| one.member.task.ends_with(id)).collect();
    assert_eq!(same_id.len(), 3);
    for endpoint in same_id {
        let is_stopped = matches!(recheck(endpoint).await, Recheck::Stopped(_));
        assert_eq!(is_stopped, endpoint.member.task == *stopped, "{}", endpoint.member.task);
    }
    // A message that names the cluster without its account: the task's ARN decides.
    for (named, task) in [("prod", stopped), ("", stopped)] {
        let member = Member { container: "app".to_owned(), ..Member::of_task(named, task) };
        let found = discovery.recheck(&member, None).await.unwrap();
        assert!(matches!(found, Recheck::Stopped(_)), "{named}: {found:?}");
    }
    assert_eq!(refusals(&sim), []);
}

#[tokio::test]
async fn a_refused_role_hurts_no_other_place_and_may_be_granted_later() {
    let sim = simulator(Role { is_refused: true, ..role() }).await;
    let discovery = discovery(&aws(&sim));
    for _ in 0..2 {
        let error = fleet(&discovery, CLUSTERS[OTHER_ACCOUNT]).await.unwrap_err();
        assert_eq!((error.code(), error.is_final()), ("role", false));
        let cause = AwsError::among(&error).unwrap();
        assert_eq!(cause.kind, AwsErrorKind::AccessDenied);
        assert_eq!(cause.summary(), "STS refused AssumeRole");
        let text = cause.to_string();
        assert!(text.starts_with(&format!("AccessDenied: role {ROLE} of account {OTHER}: User: ")), "{text}");
        is_of(HERE, &fleet(&discovery, CLUSTERS[HERE]).await.unwrap());
        is_of(OTHER_REGION, &fleet(&discovery, CLUSTERS[OTHER_REGION]).await.unwrap());
    }
    assert_eq!(sim.count("AssumeRole"), 2, "a refusal is not retried");
    sim.set_role(role());
    is_of(OTHER_ACCOUNT, &fleet(&discovery, CLUSTERS[OTHER_ACCOUNT]).await.unwrap());
}

#[tokio::test]
async fn a_role_may_require_an_external_id() {
    let sim = simulator(Role { external_id: Some("shop/1".to_owned()), ..role() }).await;
    let aws = aws(&sim);
    let without = fleet(&discovery(&aws), CLUSTERS[OTHER_ACCOUNT]).await.unwrap_err();
    assert_eq!(AwsError::among(&without).map(|error| error.kind), Some(AwsErrorKind::AccessDenied));
    let roles = aws.roles.clone().with_external_id(Some("shop/1".to_owned()));
    is_of(OTHER_ACCOUNT, &fleet(&discovery(&Aws { roles, ..aws }), CLUSTERS[OTHER_ACCOUNT]).await.unwrap());
    let sessions = sim.calls().into_iter().filter(|call| call.operation == "AssumeRole");
    assert!(sessions.into_iter().all(|call| call.parameters["RoleSessionName"] == "ecs-task-notifier"));
}

#[tokio::test]
async fn credentials_that_expire_during_a_scan_are_renewed() {
    let sim = simulator(Role { lifetime: Some(Duration::from_secs(2)), ..role() }).await;
    // The first credentials expire while the first answer is held back.
    sim.faults().order("ListTasks", When::Always, Fault::Delay(Duration::from_secs(3)));
    let discovery = discovery(&aws(&sim));
    is_of(OTHER_ACCOUNT, &fleet(&discovery, CLUSTERS[OTHER_ACCOUNT]).await.unwrap());
    assert!(sim.count("AssumeRole") > 1);
    assert_eq!(refusals(&sim), [], "no request had expired credentials");
}

#[tokio::test]
async fn an_account_without_a_role_is_never_assumed() {
    let sim = simulator(role()).await;
    let discovery = discovery(&Aws { roles: Roles::default(), ..aws(&sim) });
    for _ in 0..3 {
        let error = fleet(&discovery, CLUSTERS[OTHER_ACCOUNT]).await.unwrap_err();
        assert_eq!((error.code(), error.is_final()), ("no-role", true));
        let text = "the cluster is in account 444455556666, for which NOTIFIER_ROLES has no role";
        assert_eq!(error.to_string(), text);
    }
    let task = format!("arn:aws:ecs:eu-west-1:{OTHER}:task/prod/0123456789abcdef0123456789abcdef");
    for cluster in ["", "prod", CLUSTERS[OTHER_ACCOUNT]] {
        let error = discovery.recheck(&Member::of_task(cluster, &task), None).await.unwrap_err();
        assert!(matches!(error, RecheckError::Discover(DiscoveryError::NoRole { .. })), "{error:?}");
    }
    is_of(OTHER_REGION, &fleet(&discovery, CLUSTERS[OTHER_REGION]).await.unwrap());
    assert_eq!((sim.count("AssumeRole"), sim.count("GetCallerIdentity")), (0, 1));
}

#[tokio::test]
async fn without_an_answer_of_sts_the_call_goes_ahead() {
    let sim = simulator(role()).await;
    sim.faults().order("GetCallerIdentity", When::Always, Fault::Fail);
    let discovery = discovery(&Aws { roles: Roles::default(), ..aws(&sim) });
    is_of(OTHER_REGION, &fleet(&discovery, CLUSTERS[OTHER_REGION]).await.unwrap());
    let asked = sim.count("GetCallerIdentity");
    let error = fleet(&discovery, CLUSTERS[OTHER_ACCOUNT]).await.unwrap_err();
    assert_eq!(error.code(), "cluster-not-found", "AWS itself refuses another account's cluster");
    assert_eq!(sim.count("GetCallerIdentity"), asked, "STS is not asked again at once");
}

#[tokio::test]
async fn what_is_not_the_arn_of_a_cluster_makes_no_request() {
    let sim = simulator(role()).await;
    let discovery = discovery(&aws(&sim));
    for wrong in [
        "arn:aws:ecs:eu-west-1:1:cluster/prod",
        "arn:aws:ecs:evil.example/:444455556666:cluster/prod",
        "arn:aws:ecs:eu-west-1:444455556666:service/prod/web",
        "arn:x",
    ] {
        let error = fleet(&discovery, wrong).await.unwrap_err();
        assert_eq!((error.code(), error.is_final()), ("invalid-cluster", true), "{wrong}");
    }
    assert_eq!(sim.calls().len(), 0);
}

#[tokio::test]
async fn each_place_has_its_own_budget() {
    let sim = simulator(role()).await;
    // A burst of 2 calls, and then one in 2.5 s.
    let discovery = discovery(&Aws { budget: Budget::percent(2), ..aws(&sim) });
    let start = Instant::now();
    for number in 1..=24 {
        let cluster = format!("arn:aws:ecs:xx-test-{number}:111122223333:cluster/prod");
        let error = discovery.service_names(&cluster).await.unwrap_err();
        assert_eq!(error.code(), "cluster-not-found");
    }
    assert!(start.elapsed() < Duration::from_secs(25), "one budget for all would take 55 s");
}

#[tokio::test]
async fn the_number_of_places_is_limited() {
    let sim = simulator(role()).await;
    let policy = classify::CallPolicy {
        health: HealthPolicy::Detect,
        networks: Networks::default(),
        anywhere: false,
        method: DiscoveryPolicy::default(),
    };
    let pool = pool::Pool::new(&aws(&sim), policy);
    let at = |region: &str| format!("arn:aws:ecs:xx-{region}-1:{OTHER}:cluster/prod");
    let letter = |n: usize| char::from(b"abcdefghijklmnop"[n]);
    let name = |n: usize| format!("{}{}", letter(n / 16), letter(n % 16));
    for n in 0..pool::PLACES_MAX {
        pool.of_cluster(&at(&name(n))).await.unwrap();
    }
    let error = pool.of_cluster(&at("full")).await.unwrap_err();
    assert_eq!((error.code(), error.is_final()), ("too-many-places", false));
    pool.of_cluster(&at(&name(0))).await.unwrap();
    pool.of_cluster("prod").await.unwrap();
    assert_eq!(sim.calls().len(), 0, "a place makes no request by itself");
}

/// Tasks in host mode on hosts outside AWS: 60 as usual, one of each other kind, and one in EC2.
async fn with_anywhere() -> Simulator {
    let hosts = |more: &str| format!("[[cluster.hosts]]\nkind = 'anywhere'\n{more}\n");
    let service = |name: &str, launch_type: &str| {
        format!(
            "[[cluster.service]]\nname = '{name}'\nlaunch_type = '{launch_type}'\nnetwork_mode = 'host'\n\
             scheduling = 'DAEMON'\n[[cluster.service.container]]\nname = 'app'\nports = [8080]\n\
             labels = {{ NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/n' }}\n"
        )
    };
    let toml = format!(
        "addresses = 'private'\n[[cluster]]\nname = 'prod'\n[[cluster.hosts]]\n{}{}{}{}{}{}{}",
        hosts("count = 60"),
        hosts("ping_status = 'ConnectionLost'"),
        hosts("hidden = true"),
        hosts("hidden = true\nattributes = { 'notify.address' = '192.0.2.7' }"),
        hosts("attributes = { 'notify.address' = 'somewhere' }"),
        service("inside", "EC2"),
        service("outside", "EXTERNAL"),
    );
    Simulator::start(Described::from_toml(&toml).unwrap(), Options::default()).await.unwrap()
}

/// The number of endpoints, and the reasons of skips with their numbers.
fn summary(fleet: &Fleet) -> (usize, BTreeMap<String, usize>) {
    let mut reasons = BTreeMap::new();
    for skip in &fleet.skips {
        let words = skip.reason.as_deref().unwrap_or_default().split(' ');
        let no_ids =
            words.map(|word| if word.starts_with("mi-") || word.starts_with("10.") { "…" } else { word });
        *reasons.entry(no_ids.collect::<Vec<_>>().join(" ")).or_default() += 1;
    }
    (fleet.endpoints.len(), reasons)
}

#[tokio::test]
async fn hosts_outside_aws_are_called_only_where_the_settings_name_their_network() {
    let sim = with_anywhere().await;
    let aws = Aws::at(&sim.url(), "us-east-1");
    let found = async |networks: &str, anywhere| {
        let networks = networks.parse().unwrap();
        let discovery = Discovery::new(&aws, HealthPolicy::Detect, networks).with_anywhere(anywhere);
        summary(&fleet(&discovery, "prod").await.unwrap())
    };
    let off = "its host … is outside AWS (ECS Anywhere); NOTIFIER_ANYWHERE=true looks its address up";
    assert_eq!(found("10.0.0.0/8,10.0.0.0/16", false).await, (1, [(off.to_owned(), 64)].into()));
    assert_eq!(sim.count("DescribeInstanceInformation"), 0);

    let lost = "its host … is outside AWS and not connected: Systems Manager says ConnectionLost";
    let hidden = "its host … is not known to Systems Manager";
    let attribute = "its host … has the attribute notify.address `somewhere`, which is not an IP address";
    let reasons = |more: &[(&str, usize)]| -> BTreeMap<String, usize> {
        let usual = [(lost, 1), (hidden, 1), (attribute, 1)];
        usual.iter().chain(more).map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    };
    assert_eq!(found("10.0.0.0/8,10.0.0.0/16,192.0.2.0/24", true).await, (62, reasons(&[])));
    let calls = sim.count("DescribeInstanceInformation");
    assert!((3..=16).contains(&calls), "one unknown id divides only the request that has it: {calls}");
    let named = "… must not be called: it is outside AWS: an allowed network must name it, other than the default ones";
    let outside = "192.0.2.7 must not be called: it is outside the allowed networks";
    assert_eq!(found(crate::model::network::DEFAULT, true).await, (1, reasons(&[(named, 60), (outside, 1)])));
}

#[tokio::test]
async fn the_address_of_a_host_outside_aws_is_cached_and_a_lost_connection_is_not() {
    let sim = with_anywhere().await;
    let networks = "10.0.0.0/16".parse().unwrap();
    let aws = Aws::at(&sim.url(), "us-east-1");
    let discovery = Discovery::new(&aws, HealthPolicy::Detect, networks).with_anywhere(true);
    let first = fleet(&discovery, "prod").await.unwrap();
    sim.reset_calls();
    assert_eq!(fleet(&discovery, "prod").await.unwrap(), first);
    let asked = sim.calls().into_iter().filter(|call| call.operation == "DescribeInstanceInformation");
    let ids: std::collections::BTreeSet<String> = asked
        .flat_map(|call| call.parameters["Filters"][0]["Values"].as_array().cloned().unwrap())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "the lost one and the unknown one: {ids:?}");
}

#[tokio::test]
async fn every_active_cluster_is_found_by_pattern_and_tags() {
    let cluster = |n| format!("[[cluster]]\nname = 'c-{n}'\ntags = {{ n = '{}' }}\n", n % 2);
    let many = (1..=120).map(cluster).collect::<Vec<_>>().concat();
    let toml = format!(
        "addresses = 'private'\n{many}[[cluster]]\nname = 'old'\ninactive = true\ntags = {{ n = '1' }}"
    );
    let options =
        Options { elsewhere: vec![prod(OTHER, "eu-west-1", 1)], roles: vec![role()], ..Options::default() };
    let sim = Simulator::start(Described::from_toml(&toml).unwrap(), options).await.unwrap();
    let discovery = discovery(&aws(&sim));
    let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let here = discovery.clusters("*", &tags(&[])).await.unwrap();
    assert!(here.len() == 120 && here.is_sorted() && !here.iter().any(|arn| arn.ends_with("/old")));
    assert_eq!((sim.count("ListClusters"), sim.count("DescribeClusters")), (2, 2));
    assert!(sim.calls().iter().all(|call| call.parameters.get("include").is_none()));
    let odd = discovery.clusters("*", &tags(&[("n", "1")])).await.unwrap();
    assert!(odd.len() == 60 && odd[0] == "arn:aws:ecs:us-east-1:111122223333:cluster/c-1", "{odd:?}");
    let other = format!("arn:aws:ecs:eu-west-1:{OTHER}:cluster/*");
    let found = async |pairs: &[(&str, &str)]| discovery.clusters(&other, &tags(pairs)).await;
    assert_eq!(found(&[("team", "shop"), ("account", OTHER)]).await.unwrap(), [CLUSTERS[OTHER_ACCOUNT]]);
    for none in [&[("team", "shop"), ("account", "1")][..], &[("missing", "")]] {
        assert_eq!(found(none).await.unwrap(), Vec::<String>::new());
    }
    let empty = format!("arn:aws:ecs:sa-east-1:{OTHER}:cluster/*");
    assert_eq!(discovery.clusters(&empty, &tags(&[])).await.unwrap(), Vec::<String>::new());
    for wrong in ["prod", "", "**", CLUSTERS[OTHER_ACCOUNT], "arn:aws:ecs:eu-west-1:1:cluster/*"] {
        let error = discovery.clusters(wrong, &tags(&[])).await.unwrap_err();
        assert_eq!((error.code(), error.is_final()), ("invalid-cluster", true), "{wrong}");
    }
}

#[tokio::test]
async fn the_estimate_of_a_plan_is_what_the_stages_call() {
    let sim = simulator(role()).await;
    for cluster in [CLUSTERS[HERE], CLUSTERS[OTHER_REGION]] {
        let plan = aws(&sim);
        let found = fleet(&discovery(&plan), cluster).await.unwrap();
        let scope = ObserverMessage::new(cluster);
        let counts = plan.calls.snapshot();
        let estimate = Estimate::of_broadcast(&found, &scope, DiscoveryPolicy::Auto, &counts, 50.0);

        let broadcast = aws(&sim);
        let discovery = discovery(&broadcast);
        let id = BroadcastId::try_from("b-1".to_owned()).unwrap();
        let event = Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap();
        let services = discovery.services(&scope, &Broadcast::new(event)).await.unwrap();
        for message in &services.messages {
            discovery.tasks(message).await.unwrap();
        }
        assert_eq!(Estimate::of_calls(&broadcast.calls.snapshot(), 50.0), estimate, "{cluster}");
        assert_eq!(estimate.calls.values().sum::<u64>(), 1 + 1 + 1 + 2 + 2 + 2 + 1 + 1, "{estimate:?}");
    }
}
