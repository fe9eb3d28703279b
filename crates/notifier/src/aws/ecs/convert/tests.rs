//! Answers as the SDK reads them: full, empty, and with values that it does not know.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    Container, ContainerDefinition, ContainerInstance, HealthCheck, KeyValuePair, NetworkBinding, Service,
    Task, TaskDefinition, TaskSet, TransportProtocol,
};

use super::*;
use crate::model::labels::{PATH, PORT};
use crate::model::{RUNNING, STOPPED};

const TASK: &str = "arn:aws:ecs:eu-west-1:111122223333:task/prod/01";

#[test]
fn every_field_of_a_task_is_kept() {
    let answer = Task::builder()
        .task_arn(TASK)
        .cluster_arn("arn:aws:ecs:eu-west-1:111122223333:cluster/prod")
        .group("service:web")
        .last_status("RUNNING")
        .desired_status("STOPPED")
        .task_definition_arn("arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1")
        .container_instance_arn("arn:aws:ecs:eu-west-1:111122223333:container-instance/prod/h")
        .availability_zone("eu-west-1a")
        .started_at(DateTime::from_secs(1_795_512_600))
        .version(7)
        .containers(
            Container::builder()
                .name("app")
                .last_status("DEACTIVATING")
                .health_status(types::HealthStatus::from("DEGRADED"))
                .network_bindings(NetworkBinding::builder().container_port(80).host_port(32_768).build())
                .network_interfaces(
                    types::NetworkInterface::builder()
                        .attachment_id("eni-1")
                        .private_ipv4_address("10.0.0.9")
                        .ipv6_address("2600::9")
                        .build(),
                )
                .build(),
        )
        .attachments(
            types::Attachment::builder()
                .id("eni-1")
                .r#type("ElasticNetworkInterface")
                .status("ATTACHED")
                .details(KeyValuePair::builder().name("subnetId").value("subnet-1").build())
                .details(KeyValuePair::builder().name("privateIPv4Address").value("10.0.0.9").build())
                .details(KeyValuePair::builder().name("ipv6Address").value("2600::9").build())
                .build(),
        )
        .build();
    let (v4, v6) = ("10.0.0.9".parse().ok(), "2600::9".parse().ok());
    let [container, host] = [80, 32_768].map(|port| PortRange::one(port).unwrap());
    let expected = TaskState {
        arn: TASK.to_owned(),
        cluster: Some("arn:aws:ecs:eu-west-1:111122223333:cluster/prod".to_owned()),
        group: Some("service:web".to_owned()),
        last_status: Some(RUNNING.to_owned()),
        desired_status: Some(STOPPED.to_owned()),
        revision: Some("arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1".to_owned()),
        host: Some("arn:aws:ecs:eu-west-1:111122223333:container-instance/prod/h".to_owned()),
        availability_zone: Some("eu-west-1a".to_owned()),
        started_at: Some(OffsetDateTime::from_unix_timestamp(1_795_512_600).unwrap()),
        version: 7,
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
    assert_eq!(task(answer), Some(expected));
}

#[test]
fn what_a_task_leaves_out_is_unknown_but_it_must_have_an_arn() {
    assert_eq!(task(Task::builder().last_status("RUNNING").build()), None);
    let bare = Task::builder().task_arn("t").containers(Container::builder().build());
    let bare = bare.attachments(types::Attachment::builder().build()).build();
    let expected = TaskState {
        arn: "t".to_owned(),
        containers: vec![ContainerState::default()],
        attachments: vec![Attachment::default()],
        ..TaskState::default()
    };
    assert_eq!(task(bare), Some(expected));
}

#[test]
fn a_binding_names_ports_or_ranges_of_both_sides() {
    let of = |binding: types::builders::NetworkBindingBuilder| {
        let answer = Container::builder().network_bindings(binding.build()).build();
        container(answer).bindings.into_iter().next()
    };
    let new = NetworkBinding::builder;
    let range = |text: &str| PortRange::parse(text).unwrap();
    let tcp = |container: &str, host: &str| {
        Some(PortBinding { is_tcp: true, container: range(container), host: range(host) })
    };
    assert_eq!(of(new().container_port(80).host_port(32_768)), tcp("80", "32768"));
    let named = new().container_port(80).host_port(32_768).protocol(TransportProtocol::Tcp);
    assert_eq!(of(named.clone()), tcp("80", "32768"));
    for other in [TransportProtocol::Udp, TransportProtocol::from("quic")] {
        assert!(!of(named.clone().protocol(other)).unwrap().is_tcp);
    }
    let ranges = new().container_port_range("8000-8100").host_port_range("49152-49252");
    assert_eq!(of(ranges.clone()), tcp("8000-8100", "49152-49252"));
    assert_eq!(of(ranges.clone().container_port(80).host_port(1)), tcp("80", "1"));
    for wrong in [
        new(),
        new().container_port(80),
        new().container_port(80).host_port(0),
        new().container_port(80).host_port(70_000),
        new().container_port(-80).host_port(1),
        new().container_port_range("8000-8100"),
        ranges.clone().host_port_range("x"),
        ranges.container_port(80),
    ] {
        assert_eq!(of(wrong), None);
    }
}

#[test]
fn a_text_that_is_not_an_address_is_none() {
    let answer = types::NetworkInterface::builder().private_ipv4_address("x").ipv6_address("2600::9");
    let found = interface(answer.build());
    assert_eq!((found.v4, found.v6), (None, "2600::9".parse().ok()));
    let answer = types::NetworkInterface::builder().private_ipv4_address("2600::9").ipv6_address("10.0.0.9");
    assert_eq!(interface(answer.build()), NetworkInterface::default());
}

#[test]
fn an_attachment_of_an_event_and_one_of_an_answer_are_alike() {
    let check = |kind: &str, status: &str, expected: (bool, bool)| {
        let found = attachment(types::Attachment::builder().r#type(kind).status(status).build());
        assert_eq!((found.is_interface, found.is_attached), expected, "{kind} {status}");
    };
    check("ElasticNetworkInterface", "ATTACHED", (true, true));
    check("eni", "ATTACHED", (true, true));
    check("eni", "DELETED", (true, false));
    check("elb", "ATTACHED", (false, true));
}

#[test]
fn a_service_is_known_by_its_name() {
    assert_eq!(service(Service::builder().service_arn("arn").build()), None);
    let bare = service(Service::builder().service_name("web").build());
    assert_eq!(bare, Some(ServiceState { name: "web".to_owned(), ..ServiceState::default() }));
    let answer = Service::builder()
        .service_arn("arn:aws:ecs:eu-west-1:111122223333:service/prod/web")
        .service_name("web")
        .status("INACTIVE")
        .task_definition("web:3")
        .deployments(
            types::Deployment::builder()
                .status("INACTIVE")
                .task_definition("web:2")
                .running_count(1)
                .pending_count(2)
                .build(),
        )
        .deployments(types::Deployment::builder().status("PRIMARY").running_count(-1).build())
        .task_sets(TaskSet::builder().task_definition("blue:1").build())
        .task_sets(TaskSet::builder().build())
        .build();
    let replaced = Deployment { is_inactive: true, revision: Some("web:2".to_owned()), tasks: 3 };
    let expected = ServiceState {
        arn: "arn:aws:ecs:eu-west-1:111122223333:service/prod/web".to_owned(),
        name: "web".to_owned(),
        is_inactive: true,
        revision: Some("web:3".to_owned()),
        deployments: vec![replaced, Deployment::default()],
        task_set_revisions: vec!["blue:1".to_owned()],
    };
    assert_eq!(service(answer), Some(expected));
}

#[test]
fn a_revision_has_a_network_mode_and_what_its_containers_ask_for() {
    let network = |mode: Option<types::NetworkMode>| {
        revision(&TaskDefinition::builder().set_network_mode(mode).build()).network
    };
    assert_eq!(network(None), NetworkMode::Bridge);
    assert_eq!(network(Some(types::NetworkMode::Bridge)), NetworkMode::Bridge);
    assert_eq!(network(Some(types::NetworkMode::from("nat"))), NetworkMode::Bridge);
    assert_eq!(network(Some(types::NetworkMode::Awsvpc)), NetworkMode::Awsvpc);
    assert_eq!(network(Some(types::NetworkMode::Host)), NetworkMode::Host);
    assert_eq!(network(Some(types::NetworkMode::None)), NetworkMode::None);

    let labelled = ContainerDefinition::builder()
        .name("app")
        .docker_labels(PORT, "80")
        .docker_labels(PATH, "/n")
        .health_check(HealthCheck::builder().command("true").build().unwrap());
    let answer = TaskDefinition::builder()
        .container_definitions(labelled.build())
        .container_definitions(ContainerDefinition::builder().build());
    let found = revision(&answer.build());
    let [app, unnamed] = found.containers() else { panic!("two containers") };
    let opt_in = app.opt_in.as_ref().unwrap();
    assert_eq!((opt_in.labels.port.as_str(), opt_in.target.as_ref().unwrap().path.as_str()), ("80", "/n"));
    assert!(app.has_health_check);
    assert_eq!((unnamed.name.as_str(), &unnamed.opt_in, unnamed.has_health_check), ("", &None, false));
}

#[test]
fn a_host_is_known_by_its_arn() {
    assert_eq!(host(ContainerInstance::builder().ec2_instance_id("i-1").build()), None);
    let found = host(ContainerInstance::builder().container_instance_arn("h").build()).unwrap();
    assert_eq!(found, Host { arn: "h".to_owned(), instance: None });
    let answer = ContainerInstance::builder().container_instance_arn("h").ec2_instance_id("i-1").build();
    assert_eq!(host(answer).unwrap().instance.as_deref(), Some("i-1"));
}
