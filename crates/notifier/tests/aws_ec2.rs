//! The one query to EC2 over the wire: against the simulator, and against answers that no simulator gives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::error::Error;

use notifier::aws::Aws;
use notifier::aws::calls::{Count, Results};
use notifier::aws::minimal::ec2::HostAddress;
use simulator::faults::{Fault, When};
use simulator::{Fleet, Options, Simulator};
use testkit::stub_server::StubServer;

/// A cluster of these hosts, and the ids of those that ECS describes.
async fn hosts(toml: &str) -> (Simulator, Aws, Vec<String>) {
    let toml = format!("addresses = 'private'\n[[cluster]]\nname = 'prod'\n{toml}");
    let sim = Simulator::start(Fleet::from_toml(&toml).unwrap(), Options::default()).await.unwrap();
    let aws = Aws::at(&sim.url(), "us-east-1");
    let listed = aws.ecs.list_container_instances().cluster("prod").into_paginator().send();
    let pages = listed.collect::<Result<Vec<_>, _>>().await.unwrap();
    let mut ids = Vec::new();
    for page in pages {
        let arns = page.container_instance_arns.unwrap_or_default();
        let described =
            aws.ecs.describe_container_instances().cluster("prod").set_container_instances(Some(arns));
        let described = described.send().await.unwrap().container_instances.unwrap_or_default();
        ids.extend(described.into_iter().filter_map(|instance| instance.ec2_instance_id));
    }
    (sim, aws, ids)
}

fn requests(aws: &Aws, operation: &str) -> u64 {
    let counts = aws.calls.snapshot().into_iter();
    counts.filter(|count| count.operation == operation).map(|count| count.requests).sum()
}

/// What an error says, causes included.
fn words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// A page of `DescribeInstances` with these instances.
fn page(ids: &[&str], token: &str) -> String {
    let item = |id: &&str| {
        format!(
            "<item><instanceId>{id}</instanceId><instanceState><name>running</name></instanceState>\
             <privateIpAddress>10.0.0.7</privateIpAddress></item>"
        )
    };
    let items: String = ids.iter().map(item).collect();
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet>\
         <nextToken>{token}</nextToken></DescribeInstancesResponse>"
    )
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn every_host_has_the_addresses_of_its_kind() {
    let (_sim, aws, ids) = hosts(
        "[[cluster.hosts]]\nip = 'v4'\n[[cluster.hosts]]\nip = 'dual'\n[[cluster.hosts]]\nip = 'v6'
         [[cluster.hosts]]\nkind = 'managed'\nhidden = true\n[[cluster.hosts]]\nkind = 'anywhere'",
    )
    .await;
    let found = aws.ec2.addresses(&ids).await.unwrap();
    let kinds = |id: &String| found.get(id).map(|at: &HostAddress| (at.v4.is_some(), at.v6.is_some()));
    let expected = [Some((true, false)), Some((true, true)), Some((false, true)), Some((true, false)), None];
    assert_eq!(ids.iter().map(kinds).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn hosts_are_asked_for_by_the_hundred_and_never_twice() {
    let (sim, aws, mut ids) = hosts("[[cluster.hosts]]\ncount = 201").await;
    ids.extend(ids.clone());
    assert_eq!(aws.ec2.addresses(&ids).await.unwrap().len(), 201);
    assert_eq!(sim.count("DescribeInstances"), 3);
    assert!(aws.ec2.addresses(&[]).await.unwrap().is_empty());
    assert_eq!(sim.count("DescribeInstances"), 3, "nothing to ask, nothing asked");
}

#[tokio::test]
async fn an_unknown_id_is_missing_and_fails_nobody() {
    let (_sim, aws, mut asked) = hosts("[[cluster.hosts]]\ncount = 2").await;
    let known = asked.clone();
    asked.extend(ids(&[
        "i-00000000000000000",
        "mi-0123456789abcdef0",
        "",
        "*",
        "i-?",
        "i-1&Action=TerminateInstances",
    ]));
    let found = aws.ec2.addresses(&asked).await.unwrap();
    let mut found: Vec<_> = found.into_keys().collect();
    found.sort();
    let mut known = known;
    known.sort();
    assert_eq!(found, known);
}

#[tokio::test]
async fn throttles_failures_and_lost_connections_are_tried_again() {
    let (sim, aws, ids) = hosts("[[cluster.hosts]]").await;
    for fault in [Fault::Throttle, Fault::Fail, Fault::Reset, Fault::LoseAnswer] {
        sim.faults().clear();
        sim.faults().order("DescribeInstances", When::First(1), fault);
        assert_eq!(aws.ec2.addresses(&ids).await.map(|found| found.len()).ok(), Some(1), "{fault:?}");
    }
    assert_eq!(requests(&aws, "DescribeInstances"), 8);
    assert_eq!(sim.count("DescribeInstances"), 8, "counted as the wire saw it");
}

#[tokio::test]
async fn calls_of_all_three_services_are_counted_by_name() {
    let (_sim, aws, ids) = hosts("[[cluster.hosts]]").await;
    aws.ec2.addresses(&ids).await.unwrap();
    let _ = aws.sqs.list_queues().send().await;
    let count = |service: &str, operation: &str| Count {
        service: service.to_owned(),
        operation: operation.to_owned(),
        requests: 1,
        results: Results { ok: 1, ..Results::default() },
    };
    assert_eq!(
        aws.clone().calls.snapshot(),
        [
            count("EC2", "DescribeInstances"),
            count("ECS", "DescribeContainerInstances"),
            count("ECS", "ListContainerInstances"),
            count("SQS", "ListQueues"),
        ]
    );
}

#[tokio::test]
async fn pages_are_followed_with_the_same_question() {
    let server = StubServer::start(|asked| match asked.body.split_once("&NextToken=") {
        None => (200, page(&["i-1"], "a+b/c&amp;==")),
        Some((_, "a%2Bb%2Fc%26%3D%3D")) => (200, page(&[], "second")),
        Some((_, "second")) => (200, page(&["i-2", "i-not-asked-for"], "")),
        Some(_) => (400, String::new()),
    })
    .await;
    let found = Aws::at(&server.url, "eu-west-1").ec2.addresses(&ids(&["i-1", "i-2"])).await.unwrap();
    assert_eq!(found.len(), 2);
    let asked = server.requests();
    let questions: Vec<_> = asked.iter().filter_map(|asked| asked.body.split("&NextToken").next()).collect();
    assert_eq!(questions.len(), 3);
    assert!(questions.iter().all(|question| *question == questions[0]), "{questions:?}");
    assert_eq!(
        questions[0],
        "Action=DescribeInstances&Version=2016-11-15&MaxResults=100&IncludeManagedResources=true\
         &Filter.1.Name=instance-id&Filter.1.Value.1=i-1&Filter.1.Value.2=i-2"
    );
}

#[tokio::test]
async fn pages_that_do_not_end_are_an_error() {
    let same = StubServer::start(|_| (200, page(&["i-1"], "same"))).await;
    let error = Aws::at(&same.url, "eu-west-1").ec2.addresses(&ids(&["i-1"])).await.unwrap_err();
    assert_eq!(words(&error), "the pages of DescribeInstances do not end");
    assert_eq!(same.requests().len(), 2);
    let other = StubServer::start(|asked| (200, page(&["i-1"], &format!("t{}", asked.body.len())))).await;
    let growing = StubServer::start({
        let count = std::sync::atomic::AtomicU32::new(0);
        move |_| (200, page(&[], &count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string()))
    })
    .await;
    for server in [other, growing] {
        let error = Aws::at(&server.url, "eu-west-1").ec2.addresses(&ids(&["i-1"])).await.unwrap_err();
        assert_eq!(error.to_string(), "the pages of DescribeInstances do not end");
        assert!(server.requests().len() <= 100);
    }
}

#[tokio::test]
async fn a_refusal_is_reported_at_once_in_the_words_of_ec2() {
    let server = StubServer::start(|_| {
        let error = "<Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message>";
        (403, format!("<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>"))
    })
    .await;
    let error = Aws::at(&server.url, "eu-west-1").ec2.addresses(&ids(&["i-1"])).await.unwrap_err();
    assert_eq!(
        words(&error),
        "EC2 refused DescribeInstances: UnauthorizedOperation: You are not authorized to perform this operation. (status 403)"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_empty_answer() {
    let server = StubServer::start(|_| (200, "<html>captive portal</html>".to_owned())).await;
    let error = Aws::at(&server.url, "eu-west-1").ec2.addresses(&ids(&["i-1"])).await.unwrap_err();
    let said = words(&error);
    assert!(said.starts_with("EC2 did not answer DescribeInstances: "), "{said}");
    assert!(said.contains("the answer (status 200) cannot be read as AWS's"), "{said}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_request_says_who_asks_and_is_signed_for_ec2_in_its_region() {
    let server = StubServer::start(|_| (200, page(&[], ""))).await;
    Aws::at(&server.url, "eu-west-1").ec2.addresses(&ids(&["i-1"])).await.unwrap();
    let asked = server.requests().remove(0);
    let header = |name: &str| asked.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!(asked.line, "POST /");
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    let signature = header("authorization");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=simulator/"), "{signature}");
    assert!(signature.contains("/eu-west-1/ec2/aws4_request, SignedHeaders="), "{signature}");
    let agent = header("user-agent");
    assert!(agent.starts_with("aws-sdk-rust/") && agent.contains(" app/ecs-task-notifier-"), "{agent}");
    assert_eq!(header("amz-sdk-request"), "attempt=1; max=10");
    assert!(!header("amz-sdk-invocation-id").is_empty());
}
