//! `Aws::load` in environments of our making: a test starts this file's `child` in a process of its own, whose
//! environment holds nothing else, and looks at where the requests arrive. Moto judges what it asks EC2.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use notifier::aws::{Aws, AwsOptions};
use notifier::fleet::{Discovery, HealthPolicy};
use notifier::model::network::Networks;
use simulator::{Fleet, Options, Role, Simulator};
use testkit::moto;
use testkit::stub_server::{StubRequest, StubServer};
use tokio::process::Command;

/// Holds what the child is to do. Without it the child does nothing, so that no test run ever asks the real AWS.
const ASK: &str = "NOTIFIER_TEST_ASK";
/// How the line starts in which the child says what it found.
const FOUND: &str = "the child found: ";
/// How long the child waits for each service: longer than any answer here takes, shorter than the retries.
const PATIENCE: Duration = Duration::from_secs(5);

const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");

/// Loads the clients and asks each service once. The ask is `ENDPOINT INSTANCE`, with `-` for no endpoint in code.
#[tokio::test]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "how a process tells its child what to do")]
    let Ok(ask) = std::env::var(ASK) else { return };
    let (endpoint, instance) = ask.split_once(' ').unwrap();
    let endpoint_url = (endpoint != "-").then(|| endpoint.to_owned());
    let aws = match Aws::load(AwsOptions { endpoint_url, ..AwsOptions::default() }).await {
        Ok(aws) => aws,
        Err(error) => return println!("{FOUND}{}", words(&error)),
    };
    let asked = [instance.to_owned()];
    let (_, _, found) = tokio::join!(
        tokio::time::timeout(PATIENCE, aws.ecs.list_clusters().send()),
        tokio::time::timeout(PATIENCE, aws.sqs.list_queues().send()),
        tokio::time::timeout(PATIENCE, aws.ec2.addresses(&asked)),
    );
    let found = match found {
        Ok(Ok(found)) => format!("{:?}", found.get(instance).map(|at| (at.v4, at.v6))),
        Ok(Err(error)) => words(&error),
        Err(_) => "nothing in time".to_owned(),
    };
    println!("{FOUND}{found}");
}

/// Names the services of clusters in two other places. The ask is `role CLUSTER CLUSTER`.
#[tokio::test]
async fn child_with_a_role() {
    #[expect(clippy::disallowed_methods, reason = "how a process tells its child what to do")]
    let Ok(ask) = std::env::var(ASK) else { return };
    let [role, clusters @ ..] = &ask.split(' ').collect::<Vec<_>>()[..] else { panic!("{ask}") };
    let aws = Aws::load(AwsOptions { roles: role.parse().unwrap(), ..AwsOptions::default() }).await.unwrap();
    let discovery = Discovery::new(&aws, HealthPolicy::Detect, Networks::default());
    let mut found = Vec::new();
    for cluster in clusters {
        let names = discovery.service_names(cluster).await;
        found.push(names.map_or_else(|error| words(&error), |names| names.join(",")));
    }
    println!("{FOUND}{}", found.join(" "));
}

/// Runs `child` and returns what it found.
async fn ask(endpoint: &str, instance: &str, env: &[(&str, &str)]) -> String {
    run("child", &format!("{endpoint} {instance}"), env).await
}

/// Runs this child with this ask.
async fn run(child: &str, ask: &str, env: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([child, "--exact", "--nocapture"])
        .env_clear()
        // No instance metadata, no files of this machine's user, no proxy for what is on loopback.
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")])
        .env(ASK, ask)
        .envs(env.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = said.lines().find_map(|line| Some(line.split_once(FOUND)?.1.to_owned()));
    found.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// An empty list, whatever is asked.
async fn empty() -> StubServer {
    StubServer::start(|asked| match service(asked) {
        "ec2" => (200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>".to_owned()),
        _ => (200, "{}".to_owned()),
    })
    .await
}

/// The service that a request is for, by its protocol.
fn service(asked: &StubRequest) -> &'static str {
    let target = asked.headers.get("x-amz-target").map_or("", |target| target.to_str().unwrap());
    match target {
        target if target.starts_with("AmazonEC2ContainerService") => "ecs",
        target if target.starts_with("AmazonSQS") => "sqs",
        _ if asked.body.starts_with("Action=DescribeInstances") => "ec2",
        _ => "unknown",
    }
}

/// Which services asked which of three servers, in an environment in which `{a}`, `{b}`, `{c}` stand for these.
async fn routes(code: &str, config: &str, env: &[(&str, &str)]) -> String {
    let servers = [("a", empty().await), ("b", empty().await), ("c", empty().await)];
    let fill = |text: &str| {
        let fill = |text: String, (name, server): &(&str, StubServer)| {
            text.replace(&format!("{{{name}}}"), &server.url)
        };
        servers.iter().fold(text.to_owned(), fill)
    };
    let directory = tempfile::tempdir().unwrap();
    let config_file = directory.path().join("config");
    std::fs::write(&config_file, fill(config)).unwrap();
    let filled: Vec<_> = env.iter().map(|(name, value)| (*name, fill(value))).collect();
    let mut env: Vec<_> = filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.extend(CREDENTIALS);
    env.extend([REGION, ("AWS_CONFIG_FILE", config_file.to_str().unwrap())]);
    ask(&fill(code), "i-1", &env).await;
    let mut routes: Vec<_> = servers
        .iter()
        .flat_map(|(name, server)| {
            server.requests().into_iter().map(move |it| format!("{}:{name}", service(&it)))
        })
        .collect();
    routes.sort();
    // Missing items are requested again, at the same endpoint.
    routes.dedup();
    routes.join(" ")
}

#[tokio::test]
async fn every_service_is_found_where_the_environment_says() {
    let all = ("AWS_ENDPOINT_URL", "{a}");
    let none = "[default]\n";
    assert_eq!(routes("-", none, &[all]).await, "ec2:a ecs:a sqs:a");
    assert_eq!(routes("-", none, &[all, ("AWS_ENDPOINT_URL_EC2", "{b}")]).await, "ec2:b ecs:a sqs:a");
    assert_eq!(
        routes("-", none, &[all, ("AWS_ENDPOINT_URL_ECS", "{b}"), ("AWS_ENDPOINT_URL_SQS", "{c}")]).await,
        "ec2:a ecs:b sqs:c"
    );
}

#[tokio::test]
async fn every_service_is_found_where_the_profile_says_unless_the_environment_does() {
    let profile = "
        [profile dev]
        endpoint_url = {a}
        services = ours
        [services ours]
        ec2 =
          endpoint_url = {b}
        ecs =
          endpoint_url = {b}
    "
    .replace("        ", "");
    let dev = ("AWS_PROFILE", "dev");
    assert_eq!(routes("-", &profile, &[dev]).await, "ec2:b ecs:b sqs:a");
    assert_eq!(routes("-", &profile, &[dev, ("AWS_ENDPOINT_URL_EC2", "{c}")]).await, "ec2:c ecs:b sqs:a");
    // As the SDK has it for its own clients: what holds for all services in the environment beats the profile.
    assert_eq!(routes("-", &profile, &[dev, ("AWS_ENDPOINT_URL", "{c}")]).await, "ec2:c ecs:c sqs:c");
}

#[tokio::test]
async fn an_endpoint_in_the_options_beats_every_other() {
    let env = [("AWS_ENDPOINT_URL", "{a}"), ("AWS_ENDPOINT_URL_EC2", "{b}"), ("AWS_ENDPOINT_URL_SQS", "{b}")];
    assert_eq!(routes("{c}", "[default]\n", &env).await, "ec2:c ecs:c sqs:c");
}

#[tokio::test]
async fn without_an_endpoint_the_requests_are_for_aws_and_go_through_the_proxy() {
    let hosts = async |more: &[(&str, &str)]| {
        let proxy = StubServer::start(|_| (403, String::new())).await;
        let mut env = CREDENTIALS.to_vec();
        env.extend([REGION, ("HTTPS_PROXY", proxy.url.as_str())]);
        env.extend(more);
        ask("-", "i-1", &env).await;
        let mut asked: Vec<_> = proxy.requests().into_iter().map(|asked| asked.line).collect();
        asked.sort();
        asked.dedup();
        asked.join(", ")
    };
    let fips_dual_stack = [("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "true")];
    let ignored =
        [("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
    let (plain, fips_dual, ignored) = tokio::join!(hosts(&[]), hosts(&fips_dual_stack), hosts(&ignored));
    assert_eq!(
        plain,
        "CONNECT ec2.eu-west-1.amazonaws.com:443, CONNECT ecs.eu-west-1.amazonaws.com:443, \
         CONNECT sqs.eu-west-1.amazonaws.com:443"
    );
    assert_eq!(
        fips_dual,
        "CONNECT ec2-fips.eu-west-1.api.aws:443, CONNECT ecs-fips.eu-west-1.api.aws:443, \
         CONNECT sqs-fips.eu-west-1.api.aws:443"
    );
    assert_eq!(ignored, plain);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let mut env = CREDENTIALS.to_vec();
    let found = ask("-", "i-1", &env).await;
    assert!(found.contains("no AWS region is set"), "{found}");
    env.clear();
    env.push(REGION);
    let found = ask("http://127.0.0.1:9", "i-1", &env).await;
    assert!(found.contains("credentials"), "{found}");
}

#[tokio::test]
async fn wrong_retry_settings_of_other_tools_stop_nothing() {
    let env = [("AWS_ENDPOINT_URL", "{a}"), ("AWS_MAX_ATTEMPTS", "0"), ("AWS_RETRY_MODE", "nonsense")];
    assert_eq!(routes("-", "[default]\n", &env).await, "ec2:a ecs:a sqs:a");
}

#[tokio::test]
async fn moto_accepts_our_signature_and_refuses_a_wrong_one() {
    let (moto, instances) = moto::start(1, &["signed"]).await;
    let (key, secret) = (instances.key.unwrap(), instances.secret.unwrap());
    let with = async |secret: &str, instance: &str| {
        let credentials = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", secret)];
        ask(&moto.url, instance, &[credentials[0], credentials[1], REGION]).await
    };
    for id in [&instances.plain[0], &instances.dual, &instances.stopped] {
        let (v4, v6) = &instances.seen[id];
        let found = with(&secret, id).await;
        assert!(found.contains(v4.as_deref().unwrap()) && v6.iter().all(|v6| found.contains(v6)), "{found}");
    }
    assert_eq!(with(&secret, &instances.terminated).await, "None");
    let refused = with("wrong", &instances.dual).await;
    assert!(refused.starts_with("EC2 refused DescribeInstances: AuthFailure: "), "{refused}");
}

#[tokio::test]
async fn moto_and_boto3_agree_with_us_about_every_instance_but_the_terminated() {
    let (moto, instances) = moto::start(103, &[]).await;
    let aws = Aws::at(&moto.url, "eu-west-1");
    let mut asked: Vec<_> = instances.seen.keys().cloned().collect();
    asked.push("i-00000000000000000".to_owned());
    let found = aws.ec2.addresses(&asked).await.unwrap();

    let mut expected = instances.seen;
    expected.remove(&instances.terminated);
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|(id, at)| (id, (at.v4.map(|ip| ip.to_string()), at.v6.map(|ip| ip.to_string()))))
        .collect();
    assert_eq!(found, expected);
    assert!(instances.plain.iter().all(|id| found[id].0.is_some()), "{found:?}");
    assert!(found[&instances.dual].1.is_some() && found.contains_key(&instances.stopped), "{found:?}");
    let requests = aws.calls.snapshot()[0].requests;
    assert_eq!(
        requests,
        2 + 3,
        "107 ids make two requests; what EC2 does not know is asked for three times more"
    );
}

#[tokio::test]
async fn a_role_is_assumed_with_the_credentials_and_at_the_endpoints_of_the_environment() {
    const ROLE: &str = "arn:aws:iam::444455556666:role/notify";
    let fleet = |account: &str, region: &str| {
        let toml = format!(
            "account = '{account}'\nregion = '{region}'\naddresses = 'private'\n[[cluster]]\nname = 'c'\n\
             [[cluster.service]]\nname = 's-{account}-{region}'\nlaunch_type = 'FARGATE'\n\
             [[cluster.service.container]]\nname = 'app'"
        );
        Fleet::from_toml(&toml).unwrap()
    };
    let options = Options {
        elsewhere: vec![fleet("111122223333", "us-west-2"), fleet("444455556666", "us-west-2")],
        roles: vec![Role { arn: ROLE.to_owned(), ..Role::default() }],
        ..Options::default()
    };
    let sim = Simulator::start(fleet("111122223333", "eu-west-1"), options).await.unwrap();
    let url = sim.url();
    let variables = ["AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_STS"].map(|name| (name, url.as_str()));
    let env = [&CREDENTIALS[..], &[REGION], &variables].concat();
    let cluster = |account: &str| format!("arn:aws:ecs:us-west-2:{account}:cluster/c");
    let asked = format!("{ROLE} c {} {}", cluster("111122223333"), cluster("444455556666"));
    assert_eq!(
        run("child_with_a_role", &asked, &env).await,
        "s-111122223333-eu-west-1 s-111122223333-us-west-2 s-444455556666-us-west-2"
    );
    let of_sts = sim.calls().into_iter().filter(|call| call.operation == "AssumeRole");
    let regions: Vec<_> = of_sts.map(|call| (call.account, call.region)).collect();
    assert_eq!(regions, [("111122223333".to_owned(), "eu-west-1".to_owned())], "STS is asked at home");
}
