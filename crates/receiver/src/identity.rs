//! The task of this process. Addresses are reused, so a request may be addressed to a task that had the address before.

use std::sync::Arc;

use serde::Deserialize;

use crate::refusal::Refusal;

/// The response of the task metadata endpoint contains no task ARN.
#[derive(Debug, thiserror::Error)]
#[error("the response of the task metadata endpoint contains no task ARN")]
pub struct TaskMetadataError(#[source] serde_json::Error);

#[derive(Deserialize)]
struct Task {
    #[serde(rename = "TaskARN", deserialize_with = "not_empty")]
    arn: String,
}

fn not_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(serde::de::Error::custom("`TaskARN` is empty")) } else { Ok(text) }
}

/// The task of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Option<Arc<str>>);

impl Identity {
    /// The task with this ARN.
    #[must_use]
    pub fn task(arn: &str) -> Self {
        Self(Some(arn.into()))
    }

    /// The task in a response of the task metadata endpoint (version 4, path `/task`), for services that use their own
    /// HTTP client. `Identity::on_ecs` makes the request itself.
    ///
    /// # Errors
    ///
    /// Fails if the response is not a JSON object with a `TaskARN`.
    pub fn from_task_metadata(response: &[u8]) -> Result<Self, TaskMetadataError> {
        let task: Task = serde_json::from_slice(response).map_err(TaskMetadataError)?;
        Ok(Self::task(&task.arn))
    }

    /// Accepts events for any task. Use it outside ECS only: on ECS, a task could accept an event for another task.
    #[must_use]
    pub fn unchecked() -> Self {
        Self(None)
    }

    /// The ARN of the task; `None` if events for any task are accepted.
    pub(crate) fn arn(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Checks that an event for the task with this ARN is addressed to this process.
    pub(crate) fn check(&self, task: &str) -> Result<(), Refusal> {
        match &self.0 {
            None => Ok(()),
            Some(_) if task.is_empty() => {
                Err(Refusal::Malformed("the event has no attribute `ecstask`".to_owned()))
            }
            Some(own) if **own == *task => Ok(()),
            Some(_) => Err(Refusal::OtherTask),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_for_the_own_task_are_accepted() {
        let own = Identity::task("arn:aws:ecs:eu-west-1:1:task/prod/a");
        assert!(own.check("arn:aws:ecs:eu-west-1:1:task/prod/a").is_ok());
        for other in ["arn:aws:ecs:eu-west-1:1:task/prod/b", "arn:aws:ecs:eu-west-1:1:task/prod/A", "a"] {
            assert!(matches!(own.check(other), Err(Refusal::OtherTask)), "{other}");
        }
        assert!(matches!(own.check(""), Err(Refusal::Malformed(_))));
        assert!(Identity::unchecked().check("any").is_ok());
    }

    #[test]
    fn a_response_without_a_task_arn_is_an_error() {
        let named = Identity::from_task_metadata(br#"{"TaskARN":"arn:a","Family":"f"}"#);
        assert_eq!(named.unwrap(), Identity::task("arn:a"));
        for answer in ["", "{}", "[]", r#"{"TaskARN":null}"#, r#"{"TaskARN":7}"#, r#"{"TaskARN":""}"#] {
            assert!(Identity::from_task_metadata(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
