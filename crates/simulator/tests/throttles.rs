//! AWS's request limits: one bucket for each group of operations in each account and Region, whoever calls.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[allow(dead_code, reason = "the other live tests look at more of an answer")]
mod client;

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Ended, send};
use http::Request;
use http_body_util::Full;
use simulator::faults::{Fault, When};
use simulator::{Call, Fleet, Latency, Options, Outcome, Role, Simulator};

const ROLE: &str = "arn:aws:iam::444455556666:role/reader";

fn fleet(account: &str, region: &str) -> Fleet {
    let toml =
        format!("account = '{account}'\nregion = '{region}'\naddresses = 'private'\n[[cluster]]\nname = 'c'");
    Fleet::from_toml(&toml).unwrap()
}

/// Sends a request with a signature of this key and Region.
async fn call(
    sim: &Simulator,
    key: &str,
    token: &str,
    region: &str,
    target: Option<&str>,
    body: &str,
) -> Ended {
    let address = sim.url().trim_start_matches("http://").parse().unwrap();
    let signature =
        format!("AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/ecs/aws4_request, Signature=x");
    let mut request = Request::post("/").header("host", "aws").header("authorization", signature);
    if let Some(operation) = target {
        request = request.header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"));
    }
    if !token.is_empty() {
        request = request.header("x-amz-security-token", token);
    }
    send(address, request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await
}

/// Key and token of a session of the role.
async fn session(sim: &Simulator) -> (String, String) {
    let ask = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={ROLE}&RoleSessionName=test");
    let Ended::Answered { body, .. } = call(sim, "AKIA1", "", "us-east-1", None, &ask).await else {
        panic!()
    };
    let text = String::from_utf8(body.to_vec()).unwrap();
    let value = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    (value("AccessKeyId"), value("SessionToken"))
}

fn is_throttled(call: &Call) -> bool {
    matches!(&call.outcome, Outcome::Refused { code, .. } if code == "ThrottlingException")
}

#[tokio::test]
async fn ten_processes_of_an_account_share_its_buckets_and_take_none_of_others() {
    let elsewhere = vec![fleet("111122223333", "eu-west-1"), fleet("444455556666", "us-east-1")];
    let roles = vec![Role { arn: ROLE.to_owned(), ..Role::default() }];
    let options = Options { elsewhere, roles, throttle_like_aws: true, ..Options::default() };
    let sim = Simulator::start(fleet("111122223333", "us-east-1"), options).await.unwrap();
    let (key, token) = session(&sim).await;

    let started = Instant::now();
    for round in 0..30 {
        for process in 0..10 {
            let operation = if round % 2 == 0 { "ListTasks" } else { "DescribeTasks" };
            let body = "{\"cluster\":\"c\",\"tasks\":[\"a\"]}";
            call(&sim, &format!("AKIA{process}"), "", "us-east-1", Some(operation), body).await;
        }
    }
    let granted =
        sim.calls().iter().filter(|call| call.operation.ends_with("Tasks") && !is_throttled(call)).count();
    let allowed = 100 + usize::try_from(started.elapsed().as_millis() / 50).unwrap() + 1;
    assert!((100..=allowed).contains(&granted), "{granted} of {allowed}");

    sim.reset_calls();
    for (key, token, region) in [("AKIA1", "", "eu-west-1"), (&key, &token, "us-east-1")] {
        for _ in 0..100 {
            call(&sim, key, token, region, Some("ListTasks"), "{\"cluster\":\"c\"}").await;
        }
    }
    assert_eq!(sim.count("ListTasks"), 200);
    let throttled: Vec<_> = sim.calls().into_iter().filter(is_throttled).collect();
    assert!(
        throttled.is_empty(),
        "the buckets of another Region and of another account are full: {throttled:?}"
    );
    let mut places: Vec<_> =
        sim.calls().into_iter().map(|call| format!("{} {}", call.account, call.region)).collect();
    places.dedup();
    assert_eq!(places, ["111122223333 eu-west-1", "444455556666 us-east-1"]);
}

#[tokio::test]
async fn calls_take_times_of_a_distribution() {
    let sim = Simulator::start(fleet("111122223333", "us-east-1"), Options::default()).await.unwrap();
    let latency = Latency { median_us: 30_000, p99_us: 60_000, seed: 5 };
    sim.faults().order("ListTasks", When::Always, Fault::Latency(latency));
    let started = Instant::now();
    for _ in 0..5 {
        call(&sim, "AKIA1", "", "us-east-1", Some("ListTasks"), "{\"cluster\":\"c\"}").await;
    }
    // 3.7 deviations below the median, five times.
    assert!(started.elapsed() > Duration::from_millis(5 * 10), "{:?}", started.elapsed());
    assert_eq!(sim.faults().struck()[&("ListTasks".to_owned(), "latency")], 5);
}
