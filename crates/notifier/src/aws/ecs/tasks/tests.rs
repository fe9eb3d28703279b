//! Answers as ECS writes them: full, empty, and with values that nobody knows.

use serde_json::{Value, json};

use super::*;
use crate::model::{RUNNING, STOPPED};

const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/01";

fn states(tasks: &Value) -> Vec<TaskState> {
    let text = json!({ "tasks": tasks, "failures": null }).to_string();
    let answer: Answer<'_> = serde_json::from_str(&text).unwrap();
    answer.tasks.unwrap().into_iter().filter_map(Task::state).collect()
}

/// The container of a task that has this one.
fn container(container: &Value) -> ContainerState {
    states(&json!([{ "taskArn": TASK, "containers": [container] }])).remove(0).containers.remove(0)
}

#[test]
fn every_field_of_a_task_is_read() {
    let answer = json!([{
        "taskArn": TASK,
        "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/prod",
        "group": "service:web",
        "lastStatus": "RUNNING",
        "desiredStatus": "STOPPED",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1",
        "containerInstanceArn": "arn:aws:ecs:eu-west-1:111122223333:container-instance/prod/h",
        "startedAt": 1_795_512_600.25,
        "availabilityZone": "eu-west-1b",
        "version": 14,
        "overrides": { "containerOverrides": [{ "name": "app" }] },
        "containers": [{
            "name": "app",
            "lastStatus": "DEACTIVATING",
            "healthStatus": "DEGRADED",
            "networkBindings": [{ "bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32_768 }],
            "networkInterfaces": [{
                "attachmentId": "eni-1", "privateIpv4Address": "10.0.0.9", "ipv6Address": "2600::9",
            }],
        }],
        "attachments": [{
            "id": "eni-1",
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [
                { "name": "subnetId", "value": "subnet-1" },
                { "name": "privateIPv4Address", "value": "10.0.0.9" },
                { "name": "ipv6Address", "value": "2600::9" },
            ],
        }],
    }]);
    let (v4, v6) = ("10.0.0.9".parse().ok(), "2600::9".parse().ok());
    let [container, host] = [80, 32_768].map(|port| PortRange::one(port).unwrap());
    let expected = TaskState {
        arn: TASK.to_owned(),
        cluster: Some("arn:aws:ecs:eu-west-1:111122223333:cluster/prod".to_owned()),
        group: Some("service:web".to_owned()),
        last_status: Some(RUNNING.to_owned()),
        desired_status: Some(STOPPED.to_owned()),
        version: 14,
        revision: Some("arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1".to_owned()),
        host: Some("arn:aws:ecs:eu-west-1:111122223333:container-instance/prod/h".to_owned()),
        zone: Zone::new("eu-west-1b"),
        containers: vec![ContainerState {
            name: "app".to_owned(),
            last_status: Some("DEACTIVATING".to_owned()),
            health: Some("DEGRADED".to_owned()),
            bindings: vec![PortBinding { is_tcp: true, container, host }],
            interfaces: vec![NetworkInterface { attachment: Some("eni-1".to_owned()), v4, v6 }],
        }],
        attachments: vec![Attachment {
            id: Some("eni-1".to_owned()),
            is_interface: true,
            is_attached: true,
            v4,
            v6,
        }],
    };
    assert_eq!(states(&answer), [expected]);
}

#[test]
fn missing_fields_are_unknown_but_a_task_without_an_arn_is_none() {
    let empty = json!([
        { "lastStatus": "RUNNING" },
        { "taskArn": "t", "group": null, "containers": [{}], "attachments": [{ "details": [{}] }] },
        { "taskArn": "u", "containers": null, "attachments": null },
    ]);
    let bare = |arn: &str| TaskState { arn: arn.to_owned(), ..TaskState::default() };
    let first = TaskState {
        containers: vec![ContainerState::default()],
        attachments: vec![Attachment::default()],
        ..bare("t")
    };
    assert_eq!(states(&empty), [first, bare("u")]);
}

#[test]
fn a_binding_has_ports_or_ranges_of_both_sides() {
    let of = |binding: Value| container(&json!({ "networkBindings": [binding] })).bindings.into_iter().next();
    let range = |text: &str| PortRange::parse(text).unwrap();
    let tcp = |container: &str, host: &str| {
        Some(PortBinding { is_tcp: true, container: range(container), host: range(host) })
    };
    let named = |protocol: &str| json!({ "containerPort": 80, "hostPort": 32_768, "protocol": protocol });
    assert_eq!(of(json!({ "containerPort": 80, "hostPort": 32_768 })), tcp("80", "32768"));
    assert_eq!(of(named("tcp")), tcp("80", "32768"));
    for other in ["udp", "quic"] {
        assert!(!of(named(other)).unwrap().is_tcp);
    }
    let (ports, host_ports) = ("8000-8100", "49152-49252");
    let ranges = json!({ "containerPortRange": ports, "hostPortRange": host_ports });
    assert_eq!(of(ranges), tcp(ports, host_ports));
    let both = json!({ "containerPortRange": ports, "hostPortRange": host_ports, "containerPort": 80, "hostPort": 1 });
    assert_eq!(of(both), tcp("80", "1"));
    for wrong in [
        json!({}),
        json!({ "containerPort": 80 }),
        json!({ "containerPort": 80, "hostPort": 0 }),
        json!({ "containerPort": 80, "hostPort": 70_000 }),
        json!({ "containerPort": -80, "hostPort": 1 }),
        json!({ "containerPortRange": ports }),
        json!({ "containerPortRange": ports, "hostPortRange": "x" }),
        json!({ "containerPortRange": ports, "hostPortRange": host_ports, "containerPort": 80 }),
    ] {
        assert_eq!(of(wrong.clone()), None, "{wrong}");
    }
}

#[test]
fn a_text_that_is_not_an_address_is_none() {
    let of = |v4: &str, v6: &str| {
        let interface = json!({ "privateIpv4Address": v4, "ipv6Address": v6 });
        container(&json!({ "networkInterfaces": [interface] })).interfaces.remove(0)
    };
    let found = of("x", "2600::9");
    assert_eq!((found.v4, found.v6), (None, "2600::9".parse().ok()));
    assert_eq!(of("2600::9", "10.0.0.9"), NetworkInterface::default());
}

#[test]
fn an_attachment_of_an_event_is_read_like_one_of_an_answer() {
    for (kind, status, expected) in [
        ("ElasticNetworkInterface", "ATTACHED", (true, true)),
        ("eni", "ATTACHED", (true, true)),
        ("eni", "DELETED", (true, false)),
        ("elb", "ATTACHED", (false, true)),
    ] {
        let task = json!([{ "taskArn": TASK, "attachments": [{ "type": kind, "status": status }] }]);
        let found = states(&task).remove(0).attachments.remove(0);
        assert_eq!((found.is_interface, found.is_attached), expected, "{kind} {status}");
    }
}

#[test]
fn a_version_is_a_whole_number_however_it_is_written() {
    for (text, expected) in [
        ("9", Some(9)),
        ("9.0", Some(9)),
        ("0", Some(0)),
        ("18446744073709551615", Some(u64::MAX)),
        ("9.5", None),
        ("-1", None),
        ("9e0", None),
        ("\"9\"", None),
        ("null", None),
        ("18446744073709551616", None),
    ] {
        assert_eq!(version(text), expected, "{text}");
    }
    assert_eq!(states(&json!([{ "taskArn": TASK, "version": { "n": 1 } }]))[0].version, 0);
}
