//! Events as ECS sends them, and bodies that are none.

use serde_json::{Value, json};

use super::*;

const CLUSTER: &str = "arn:aws:ecs:us-west-2:111122223333:cluster/FargateCluster";
const TASK: &str = "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad";
/// A year later than every event.
const QUEUED: u64 = 1_611_360_000_000;

/// The event of a Fargate task that runs. Source: Amazon ECS Developer Guide, "Amazon ECS task state change events".
fn running() -> Value {
    json!({
        "version": "0",
        "id": "3317b2af-7005-947d-b652-f55e762e571a",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": "111122223333",
        "time": "2020-01-23T17:57:58Z",
        "region": "us-west-2",
        "resources": [TASK],
        "detail": {
            "attachments": [{
                "id": "1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8",
                "type": "eni",
                "status": "ATTACHED",
                "details": [
                    { "name": "subnetId", "value": "subnet-abcd1234" },
                    { "name": "networkInterfaceId", "value": "eni-abcd1234" },
                    { "name": "macAddress", "value": "0a:98:eb:a7:29:ba" },
                    { "name": "privateIPv4Address", "value": "10.0.0.139" },
                ],
            }],
            "availabilityZone": "us-west-2c",
            "clusterArn": CLUSTER,
            "containers": [{
                "containerArn": "arn:aws:ecs:us-west-2:111122223333:container/cf159fd6-3e3f-4a9e-84f9-66cbe726af01",
                "lastStatus": "RUNNING",
                "name": "FargateApp",
                "image": "111122223333.dkr.ecr.us-west-2.amazonaws.com/hello-repository:latest",
                "imageDigest": "sha256:74b2c688c700ec95a93e478cdb959737c148df3fbf5ea706abe0318726e885e6",
                "runtimeId": "ad64cbc71c7fb31c55507ec24c9f77947132b03d48d9961115cf24f3b7307e1e",
                "taskArn": TASK,
                "networkInterfaces": [{
                    "attachmentId": "1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8",
                    "privateIpv4Address": "10.0.0.139",
                }],
                "cpu": "0",
            }],
            "createdAt": "2020-01-23T17:57:34.402Z",
            "launchType": "FARGATE",
            "cpu": "256",
            "memory": "512",
            "desiredStatus": "RUNNING",
            "group": "family:sample-fargate",
            "lastStatus": "RUNNING",
            "overrides": { "containerOverrides": [{ "name": "FargateApp" }] },
            "connectivity": "CONNECTED",
            "connectivityAt": "2020-01-23T17:57:38.453Z",
            "pullStartedAt": "2020-01-23T17:57:52.103Z",
            "startedAt": "2020-01-23T17:57:58.103Z",
            "pullStoppedAt": "2020-01-23T17:57:55.103Z",
            "updatedAt": "2020-01-23T17:57:58.103Z",
            "taskArn": TASK,
            "taskDefinitionArn": "arn:aws:ecs:us-west-2:111122223333:task-definition/sample-fargate:1",
            "version": 4,
            "platformVersion": "1.3.0",
        },
    })
}

/// The same event with these fields of its detail; `null` removes a field.
fn with(changes: Value) -> String {
    let mut event = running();
    let detail = event["detail"].as_object_mut().unwrap();
    let Value::Object(changes) = changes else { panic!("an object") };
    for (name, value) in changes {
        if value.is_null() { drop(detail.remove(&name)) } else { drop(detail.insert(name, value)) }
    }
    event.to_string()
}

fn seen(body: &str) -> Seen {
    match read(body, QUEUED).unwrap() {
        RegistryMessage::Seen(seen) => *seen,
        RegistryMessage::Request(request) => panic!("{request:?}"),
    }
}

fn problem(body: &str) -> String {
    crate::base::text::chain(&read(body, QUEUED).unwrap_err())
}

#[test]
fn an_event_says_what_describe_tasks_would_say() {
    let Seen { task, at } = seen(&running().to_string());
    assert_eq!(at, 1_579_802_278_103);
    assert_eq!((task.arn.as_str(), task.cluster.as_deref()), (TASK, Some(CLUSTER)));
    assert_eq!((task.version, task.is_running(), task.service()), (4, true, None));
    assert_eq!(task.zone.as_ref().map(crate::model::Zone::as_str), Some("us-west-2c"));
    assert_eq!(task.containers[0].interfaces[0].v4, Some([10, 0, 0, 139].into()));
    assert_eq!(task.attachments[0].address(), Some([10, 0, 0, 139].into()));
    let row = Row::of(&Seen { task: task.clone(), at });
    assert!(row.body().len() < 512, "{}", row.body());
    assert_eq!(Row::read(CLUSTER, TASK, &row.body()).unwrap(), row);
    assert_eq!(row.task(), task);
}

#[test]
fn unknown_fields_and_a_version_with_a_decimal_point_are_accepted() {
    let body = with(json!({
        "version": 9.0, "enableExecuteCommand": true, "ephemeralStorage": { "sizeInGiB": 20 }, "x": [null, {}],
    }));
    assert!(body.contains("9.0"));
    assert_eq!(seen(&body).task.version, 9);
}

#[test]
fn a_pending_container_of_a_running_task_runs() {
    let status = |task: &str, container: &str| {
        let body = with(json!({
            "lastStatus": task, "containers": [{ "name": "app", "lastStatus": container }],
        }));
        seen(&body).task.containers[0].last_status.clone().unwrap()
    };
    assert_eq!(status("RUNNING", "PENDING"), "RUNNING");
    assert_eq!(status("RUNNING", "STOPPED"), "STOPPED");
    assert_eq!(status("PENDING", "PENDING"), "PENDING");
}

#[test]
fn the_row_of_a_stopped_task_has_no_address_although_its_event_has() {
    let body = with(json!({
        "lastStatus": "STOPPED", "desiredStatus": "STOPPED", "version": 9,
        "attachments": [
            { "id": "e", "type": "eni", "status": "DELETED", "details": [{ "name": "privateIPv4Address", "value": "10.0.0.139" }] },
            { "id": "l", "type": "elb", "status": "DELETED", "details": [] },
        ],
    }));
    let seen = seen(&body);
    assert!(seen.task.containers[0].interfaces[0].v4.is_some());
    let row = Row::of(&seen);
    assert_eq!(row.body(), r#"{"v":"00000000000000000009","at":"0001579802278103","s":"STOPPED"}"#);
    assert_eq!(Row::read(CLUSTER, TASK, &row.body()).unwrap(), row);
    assert!(row.state().is_stopped() && !row.is_running());
}

#[test]
fn a_task_that_is_about_to_stop_does_not_run() {
    let body = with(json!({ "desiredStatus": "STOPPED", "stopCode": "TerminationNotice" }));
    let row = Row::of(&seen(&body));
    assert!(!row.is_running() && !row.state().is_stopped());
    assert!(!Row::read(CLUSTER, TASK, &row.body()).unwrap().is_running());
}

#[test]
fn bridge_mode_and_old_arns_are_read() {
    let old = "arn:aws:ecs:us-west-2:111122223333:task/c13b4cb4-0f1f";
    let host = "arn:aws:ecs:us-west-2:111122223333:container-instance/b54a2a04";
    let body = with(json!({
        "taskArn": old, "containerInstanceArn": host, "group": "service:web", "attachments": null,
        "containers": [{
            "name": "app", "lastStatus": "RUNNING", "networkInterfaces": [],
            "networkBindings": [
                { "bindIP": "0.0.0.0", "containerPort": 8080, "hostPort": 32_768, "protocol": "tcp" },
                { "containerPortRange": "9000-9010", "hostPortRange": "49152-49162", "protocol": "udp" },
            ],
        }],
    }));
    let seen = seen(&body);
    assert_eq!((seen.task.service(), seen.task.host.as_deref()), (Some("web"), Some(host)));
    assert_eq!(seen.task.containers[0].bindings[0].host_port(8080), Some(32_768));
    let row = Row::of(&seen);
    assert_eq!(Row::read(CLUSTER, old, &row.body()).unwrap().task(), seen.task);
}

#[test]
fn the_time_is_that_of_the_change_but_no_later_than_the_message() {
    assert_eq!(seen(&with(json!({ "updatedAt": null }))).at, 1_579_802_278_000);
    assert_eq!(seen(&with(json!({ "updatedAt": "yesterday" }))).at, 1_579_802_278_000);
    assert_eq!(seen(&with(json!({ "updatedAt": "9999-12-31T23:59:59Z" }))).at, QUEUED);
    assert_eq!(seen(&with(json!({ "updatedAt": "2020-01-23T19:57:58.103+02:00" }))).at, 1_579_802_278_103);
}

#[test]
fn an_event_without_a_needed_field_is_refused_with_its_name() {
    for (field, wrong) in [
        ("taskArn", json!("arn:aws:ecs:us-west-2:111122223333:service/web")),
        ("taskArn", json!(format!("arn:aws:ecs:us-west-2:111122223333:task/{}", "x".repeat(1_000)))),
        ("clusterArn", json!("FargateCluster")),
        ("clusterArn", json!("arn:aws:ecs:us-west-2:111122223333:cluster/*")),
        ("version", json!(0)),
        ("version", json!(9.5)),
        ("version", json!(u64::MAX)),
        ("lastStatus", json!("running")),
        ("desiredStatus", json!("RUNNING\u{1b}[2J")),
        ("taskDefinitionArn", json!("")),
    ] {
        for value in [Value::Null, wrong] {
            let body = with(json!({ field: value }));
            assert_eq!(problem(&body), format!("the event of a task has no valid `{field}`"), "{body}");
        }
    }
}

#[test]
fn the_cluster_is_named_by_the_event_and_must_be_that_of_the_task() {
    for cluster in [
        "arn:aws:ecs:us-west-2:111122223333:cluster/Other",
        "arn:aws:ecs:us-west-1:111122223333:cluster/FargateCluster",
        "arn:aws:ecs:us-west-2:444455556666:cluster/FargateCluster",
    ] {
        let expected = format!("task {TASK} cannot be in cluster {cluster}");
        assert_eq!(problem(&with(json!({ "clusterArn": cluster }))), expected);
    }
}

#[test]
fn a_row_has_a_largest_size() {
    let many = vec![json!({ "name": "x".repeat(1_000), "lastStatus": "RUNNING" }); 100];
    let problem = problem(&with(json!({ "containers": many })));
    assert!(problem.starts_with("the task has too many containers: its row would have 10"), "{problem}");
}

#[test]
fn requests_are_read_and_limited() {
    let sweep = RegistryRequest::Sweep(vec!["*".to_owned()]);
    assert_eq!(sweep.to_body(), r#"{"registry":{"sweep":["*"]}}"#);
    let look = RegistryRequest::Look { cluster: CLUSTER.to_owned(), tasks: vec![TASK.to_owned()] };
    let learn =
        RegistryRequest::Learn { cluster: CLUSTER.to_owned(), tasks: vec![TASK.to_owned()], attempt: 1 };
    for request in [sweep, look, learn] {
        assert_eq!(read(&request.to_body(), 0).unwrap(), RegistryMessage::Request(request));
    }
    let none = RegistryRequest::Sweep(Vec::new()).to_body();
    assert_eq!(problem(&none), "the request has 0 clusters; 1 to 100 are possible");
    let many = RegistryRequest::Look { cluster: CLUSTER.to_owned(), tasks: vec![TASK.to_owned(); 101] };
    assert_eq!(problem(&many.to_body()), "the request has 101 tasks; 1 to 100 are possible");
}

#[test]
fn other_bodies_are_refused() {
    let mut other = running();
    other["detail-type"] = json!("ECS Container Instance State Change");
    assert_eq!(
        problem(&other.to_string()),
        "the event is `ECS Container Instance State Change` of `aws.ecs`, not `ECS Task State Change` of `aws.ecs`: \
         correct the pattern of the rule"
    );
    other = running();
    other["source"] = json!("com.example\u{202e}");
    assert!(problem(&other.to_string()).contains("of `com.example\\u{202e}`"));
    for body in ["", "x", "[]", "7", "{}", r#"{"cluster":"prod"}"#, r#"{"registry":{"sweep":"*"}}"#] {
        assert!(
            problem(body).starts_with("the body is neither an event of EventBridge nor a request"),
            "{body}"
        );
    }
}
