//! The simulator's ECS and EC2 as AWS's own Python client sees them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod boto3_run;

use std::time::Duration;

use boto3_run::judge;
use simulator::faults::{Fault, When};
use simulator::fleet::AlarmState;
use simulator::{Fleet, Options, Outcome, Role, Simulator};

async fn start(options: Options) -> Simulator {
    let fleet = Fleet::from_toml(include_str!("boto3/fleet.toml")).unwrap();
    Simulator::start(fleet, options).await.unwrap()
}

#[tokio::test]
async fn ecs() {
    let sim = start(Options::default()).await;
    judge(&sim, "test_ecs.py", "test").await;
    assert!(sim.count("ListTasks") > 0);
}

#[tokio::test]
async fn ec2() {
    let sim = start(Options::default()).await;
    judge(&sim, "test_ec2.py", "test").await;
}

#[tokio::test]
async fn cloudwatch() {
    let sim = start(Options::default()).await;
    judge(&sim, "test_cloudwatch.py", "of_the_fleet").await;
    sim.set_alarm("errors", AlarmState::Ok);
    sim.set_alarm("new", AlarmState::InsufficientData);
    judge(&sim, "test_cloudwatch.py", "changed").await;
}

#[tokio::test]
async fn throttles() {
    let sim = start(Options::default()).await;
    sim.faults().order("ListTasks", When::Every(2), Fault::Throttle);
    sim.faults().order("DescribeInstances", When::Every(2), Fault::Throttle);
    judge(&sim, "test_faults.py", "throttle_every_second_call").await;
    let throttled =
        sim.calls().into_iter().filter(|call| matches!(call.outcome, Outcome::Refused { .. })).count();
    assert_eq!((sim.count("ListTasks"), sim.count("DescribeInstances"), throttled), (4, 4, 4));
    judge(&sim, "test_faults.py", "throttled_clients").await;
}

#[tokio::test]
async fn failures_and_lost_connections() {
    let sim = start(Options::default()).await;
    sim.faults().order("*", When::First(3), Fault::Fail);
    judge(&sim, "test_faults.py", "fail_first").await;
    sim.faults().clear();
    sim.reset_calls();
    sim.faults().order("ListClusters", When::Nth(1), Fault::Reset);
    sim.faults().order("ListClusters", When::Nth(2), Fault::LoseAnswer);
    judge(&sim, "test_faults.py", "reset_then_lose_answer").await;
    let outcomes: Vec<_> = sim.calls().into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, [Outcome::Reset, Outcome::AnswerLost, Outcome::Answered]);
}

#[tokio::test]
async fn empty_pages_and_missing_entries() {
    let sim = start(Options::default()).await;
    sim.faults().order("ListTasks", When::Nth(1), Fault::EmptyPage);
    judge(&sim, "test_faults.py", "empty_page").await;
    sim.faults().clear();
    sim.faults().order("DescribeTasks", When::Every(2), Fault::DropEntry);
    sim.faults().order("DescribeInstances", When::Nth(50), Fault::DropEntry);
    judge(&sim, "test_faults.py", "missing_entries").await;
}

#[tokio::test]
async fn aws_own_limits() {
    let sim = start(Options { throttle_like_aws: true, ..Options::default() }).await;
    judge(&sim, "test_faults.py", "aws_own_limits").await;
}

#[tokio::test]
async fn accounts_regions_and_roles() {
    let role = |name: &str| Role { arn: format!("arn:aws:iam::444455556666:role/{name}"), ..Role::default() };
    let options = Options {
        elsewhere: vec![elsewhere("111122223333", 120), elsewhere("444455556666", 0)],
        roles: vec![
            role("open"),
            Role { external_id: Some("shop/1".to_owned()), ..role("path/guarded") },
            Role { is_refused: true, ..role("closed") },
            Role { lifetime: Some(Duration::from_secs(2)), ..role("short") },
        ],
        ..Options::default()
    };
    judge(&start(options).await, "test_accounts.py", "test").await;
}

/// Another Region of this account: `prod`, `old`, which was deleted, and `more` clusters.
fn elsewhere(account: &str, more: usize) -> Fleet {
    let more: Vec<_> = (1..=more).map(|n| format!("[[cluster]]\nname = 'more-{n}'\n")).collect();
    let more = more.concat();
    let toml = format!(
        "region = 'us-west-2'\naccount = '{account}'\naddresses = 'private'\n\
         [[cluster]]\nname = 'prod'\ntags = {{ team = 'shop', tier = '' }}\n\
         [[cluster.service]]\nname = 'only-here'\nlaunch_type = 'FARGATE'\ntasks = 3\n\
         [[cluster.service.container]]\nname = 'app'\n[[cluster]]\nname = 'old'\ninactive = true\n{more}"
    );
    Fleet::from_toml(&toml).unwrap()
}

#[tokio::test]
async fn machines_outside_aws() {
    let hosts = |more: &str| format!("[[cluster.hosts]]\nkind = 'anywhere'\n{more}\n");
    let toml = format!(
        "region = 'eu-central-1'\naddresses = 'private'\n[[cluster]]\nname = 'prod'\n[[cluster.hosts]]\n{}{}{}{}",
        hosts("count = 21"),
        hosts("ping_status = 'ConnectionLost'"),
        hosts("attributes = { 'notify.address' = '192.0.2.7' }"),
        hosts("hidden = true")
    );
    let sim = Simulator::start(Fleet::from_toml(&toml).unwrap(), Options::default()).await.unwrap();
    judge(&sim, "test_ssm.py", "test").await;
}
