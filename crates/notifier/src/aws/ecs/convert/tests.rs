//! Answers as the SDK reads them: full, empty, and with values that it does not know.

use aws_sdk_ecs::types::{
    ContainerDefinition, ContainerInstance, HealthCheck, Service, TaskDefinition, TaskSet,
};

use super::*;
use crate::model::labels::{PATH, PORT};

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
        task_definition(&TaskDefinition::builder().set_network_mode(mode).build()).network
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
    let found = task_definition(&answer.build()).revision();
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
    assert_eq!(found, Host { arn: "h".to_owned(), ..Host::default() });
    let answer = ContainerInstance::builder().container_instance_arn("h").ec2_instance_id("i-1").build();
    assert_eq!(host(answer).unwrap().instance.as_deref(), Some("i-1"));
}
