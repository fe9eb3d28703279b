//! Converts endpoints to messages of the tasks queue, and back.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use wire::{Broadcast, TaskMessage};

use crate::model::labels::{self, Target};
use crate::model::{Endpoint, Member, Zone};

/// The message for this endpoint.
pub(super) fn message(endpoint: &Endpoint, broadcast: &Broadcast) -> TaskMessage {
    let Endpoint { member, address, target, is_starting, is_late, wave, zone } = endpoint;
    let mut message = TaskMessage::new(&member.task, *address, &target.path);
    message.broadcast = Some(broadcast.clone());
    message.cluster.clone_from(&member.cluster);
    message.service.clone_from(&member.service);
    message.container.clone_from(&member.container);
    message.task_definition.clone_from(&member.task_definition);
    message.container_port = Some(target.port);
    message.scheme = target.scheme;
    message.method = target.method;
    message.content_mode = target.content_mode;
    message.server_name.clone_from(&target.server_name);
    (message.starting, message.late, message.wave) = (*is_starting, *is_late, *wave);
    message.zone = zone.as_ref().map(Zone::to_string);
    message
}

/// The endpoint of a message; the error names the wrong field.
pub(crate) fn endpoint(message: TaskMessage) -> Result<Endpoint, String> {
    let ip: IpAddr = message
        .address
        .parse()
        .map_err(|_| format!("`notify_me_host_address` is not an IP address: {:?}", message.address))?;
    let port: NonZeroU16 = message
        .port
        .parse()
        .map_err(|_| format!("`notify_me_host_port` is not a port (1-65535): {:?}", message.port))?;
    labels::check_path(&message.path).map_err(|wrong| format!("`notify_me_api_uri`: {wrong}"))?;
    if let Some(name) = &message.server_name {
        labels::check_server_name(name, message.scheme).map_err(|wrong| format!("`server_name`: {wrong}"))?;
    }
    if message.task.is_empty() {
        return Err("`notify_task_arn` is empty".to_owned());
    }
    Ok(Endpoint {
        member: Arc::new(Member {
            service: message.service,
            container: message.container,
            task_definition: message.task_definition,
            ..Member::of_task(&message.cluster, &message.task)
        }),
        address: SocketAddr::new(ip, port.get()),
        target: Arc::new(Target {
            port: message.container_port.unwrap_or(port),
            path: message.path,
            scheme: message.scheme,
            method: message.method,
            content_mode: message.content_mode,
            server_name: message.server_name,
        }),
        is_starting: message.starting,
        is_late: message.late,
        wave: message.wave,
        zone: message.zone.as_deref().and_then(Zone::new),
    })
}

#[cfg(test)]
mod tests {
    use wire::Message;

    use super::*;

    const LEAST: &str = r#"{"notify_task_arn":"arn:t","notify_me_host_address":"10.0.0.1","notify_me_host_port":"32768","notify_me_api_uri":"/n"}"#;

    #[test]
    fn an_endpoint_is_the_same_on_both_sides_of_a_queue() {
        let id = wire::BroadcastId::try_from("b-1".to_owned()).unwrap();
        let event = wire::Draft::default().complete(&id, time::OffsetDateTime::UNIX_EPOCH).unwrap();
        let sent = Endpoint {
            member: Arc::new(Member {
                service: "web".to_owned(),
                container: "app".to_owned(),
                task_definition: "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:1".to_owned(),
                ..Member::of_task("prod", "arn:aws:ecs:eu-west-1:111122223333:task/prod/01")
            }),
            is_starting: true,
            is_late: true,
            wave: Some(2),
            zone: Zone::new("eu-west-1b"),
            ..endpoint(TaskMessage::from_body(LEAST).unwrap()).unwrap()
        };
        assert_eq!(sent.member.account, "111122223333");
        let body = message(&sent, &Broadcast::new(event)).to_body().unwrap();
        assert_eq!(endpoint(TaskMessage::from_body(&body).unwrap()).unwrap(), sent);
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (from, to, says) in [
            ("10.0.0.1", "evil.example", "`notify_me_host_address` is not an IP address: \"evil.example\""),
            ("10.0.0.1", "10.0.0.1:80", "`notify_me_host_address` is not an IP address: \"10.0.0.1:80\""),
            ("32768", "0", "`notify_me_host_port` is not a port (1-65535): \"0\""),
            (
                "\"/n\"",
                "\"//evil\"",
                "`notify_me_api_uri`: label NOTIFY_ME_API_URI: `//evil` starts with `//`",
            ),
            ("arn:t", "", "`notify_task_arn` is empty"),
        ] {
            let wrong = endpoint(TaskMessage::from_body(&LEAST.replace(from, to)).unwrap()).unwrap_err();
            assert!(wrong.starts_with(says), "{wrong}");
        }
    }
}
