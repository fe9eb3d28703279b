//! A message that was given up: the stage and the delivery that it is about, and the reason.

use serde_json::Value;
use time::OffsetDateTime;

use crate::base::words;

words! {
    /// One of the stages.
    pub enum StageName {
        /// Stage 1, service discovery.
        Services = "services",
        /// Stage 2, task discovery.
        Tasks = "tasks",
        /// Stage 3, notify.
        Notify = "notify",
        /// The stage that keeps the registry of tasks. It is no part of a broadcast.
        Registry = "registry",
    }
}

impl StageName {
    /// The stages of a broadcast, in order.
    pub const BROADCAST: [Self; 3] = [Self::Services, Self::Tasks, Self::Notify];
}

/// A message in a dead-letter queue, or on its way there. Values that the message does not have are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The stage that the message is for.
    pub stage: StageName,
    /// The broadcast's id.
    pub broadcast: Option<String>,
    /// Name or ARN of the cluster.
    pub cluster: Option<String>,
    /// The services; a message for a whole cluster names none.
    pub services: Vec<String>,
    /// ARN of the task.
    pub task: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// A stable word for the kind of failure; `None` when SQS itself moved the message after too many receives.
    pub code: Option<String>,
    /// What went wrong, for a person.
    pub reason: Option<String>,
    /// Size of the body.
    pub body_bytes: usize,
    /// When the message was first sent.
    pub sent: OffsetDateTime,
}

impl DeadLetter {
    /// A dead letter with this body of any queue, without a code and a reason. A field of a wrong type does not hide the
    /// others. Pure.
    pub fn about(stage: StageName, body: &str, sent: OffsetDateTime) -> Self {
        let body_bytes = body.len();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |pointer| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let many = body.get("services").and_then(Value::as_array).into_iter().flatten();
        // An event of ECS.
        let detail = |pointer| text(pointer).filter(|_| stage == StageName::Registry);
        let services = body.get("service").into_iter().chain(many).filter_map(Value::as_str);
        Self {
            stage,
            broadcast: text("/broadcast/id").or_else(|| text("/event/id")),
            cluster: text("/cluster").or_else(|| detail("/detail/clusterArn")),
            services: services.filter(|service| !service.is_empty()).map(str::to_owned).collect(),
            task: text("/notify_task_arn").or_else(|| detail("/detail/taskArn")),
            container: text("/container"),
            code: None,
            reason: None,
            body_bytes,
            sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(body: &str) -> DeadLetter {
        DeadLetter::about(StageName::Notify, body, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_body_says_what_its_message_is_about() {
        let letter = about(
            r#"{"notify_task_arn":"arn:t","service":"web","services":["api",""],"container":"app","cluster":"prod","broadcast":{"id":"b-1"}}"#,
        );
        let texts = [&letter.broadcast, &letter.cluster, &letter.task, &letter.container];
        assert_eq!(
            texts.map(|text| text.as_deref().unwrap_or("-")),
            ["b-1", "prod", "arn:t", "app"],
            "{letter:?}"
        );
        assert_eq!(letter.services, ["web", "api"]);
        assert_eq!(about(r#"{"cluster":"prod","event":{"id":"e-1"}}"#).broadcast.as_deref(), Some("e-1"));
        assert_eq!(about(r#"{"cluster":"prod"}"#).broadcast, None);
    }

    #[test]
    fn a_dead_letter_of_the_registry_names_the_task_of_its_event() {
        let body = r#"{"source":"aws.ecs","detail":{"taskArn":"arn:t","clusterArn":"arn:c"}}"#;
        let letter = DeadLetter::about(StageName::Registry, body, OffsetDateTime::UNIX_EPOCH);
        assert_eq!((letter.task.as_deref(), letter.cluster.as_deref()), (Some("arn:t"), Some("arn:c")));
        assert_eq!((about(body).task, about(body).cluster), (None, None));
    }

    #[test]
    fn a_body_that_cannot_be_read_says_nothing_and_a_wrong_field_hides_no_other() {
        assert_eq!(about("not json"), DeadLetter { body_bytes: 8, ..about("") });
        let letter =
            about(r#"{"broadcast":7,"event":null,"services":"x","service":[],"notify_task_arn":"arn:t"}"#);
        assert_eq!(
            (letter.broadcast, letter.services, letter.task.as_deref()),
            (None, vec![], Some("arn:t"))
        );
    }
}
