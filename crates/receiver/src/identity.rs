//! Which task this process runs in, so that it can tell its own events from those of a task that had its address before.

use std::sync::Arc;

use serde::Deserialize;

use crate::refusal::Refusal;

/// A text that does not name a task as the task metadata endpoint does.
#[derive(Debug, thiserror::Error)]
#[error("the answer of the task metadata endpoint does not name the task")]
pub struct NoTask(#[source] serde_json::Error);

#[derive(Deserialize)]
struct Task {
    #[serde(rename = "TaskARN", deserialize_with = "not_empty")]
    arn: String,
}

fn not_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(serde::de::Error::custom("`TaskARN` is empty")) } else { Ok(text) }
}

/// The task that this process is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Option<Arc<str>>);

impl Identity {
    /// The task with this ARN.
    #[must_use]
    pub fn task(arn: &str) -> Self {
        Self(Some(arn.into()))
    }

    /// The task that an answer of the task metadata endpoint (version 4, path `/task`) names, for whoever asks it with an
    /// HTTP client of their own. `Identity::on_ecs` asks by itself.
    ///
    /// # Errors
    ///
    /// When the answer is no JSON object with a `TaskARN` in it.
    pub fn from_task_metadata(answer: &[u8]) -> Result<Self, NoTask> {
        let task: Task = serde_json::from_slice(answer).map_err(NoTask)?;
        Ok(Self::task(&task.arn))
    }

    /// No task in particular: events for whichever task are accepted.
    ///
    /// For a machine outside ECS. On ECS it gives up the promise that no task accepts what was meant for another.
    #[must_use]
    pub fn unchecked() -> Self {
        Self(None)
    }

    /// The task's ARN; `None` when any task's events are accepted.
    pub(crate) fn arn(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether an event for the task with this ARN is for this process.
    pub(crate) fn check(&self, task: &str) -> Result<(), Refusal> {
        match &self.0 {
            None => Ok(()),
            Some(_) if task.is_empty() => Err(Refusal::Malformed("the event names no task".to_owned())),
            Some(own) if **own == *task => Ok(()),
            Some(_) => Err(Refusal::OtherTask),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_for_this_very_task_are_for_it() {
        let own = Identity::task("arn:aws:ecs:eu-west-1:1:task/prod/a");
        assert!(own.check("arn:aws:ecs:eu-west-1:1:task/prod/a").is_ok());
        for other in ["arn:aws:ecs:eu-west-1:1:task/prod/b", "arn:aws:ecs:eu-west-1:1:task/prod/A", "a"] {
            assert!(matches!(own.check(other), Err(Refusal::OtherTask)), "{other}");
        }
        assert!(matches!(own.check(""), Err(Refusal::Malformed(_))));
        assert!(Identity::unchecked().check("whichever").is_ok());
    }

    #[test]
    fn an_answer_without_a_task_names_none() {
        let named = Identity::from_task_metadata(br#"{"TaskARN":"arn:a","Family":"f"}"#);
        assert_eq!(named.unwrap(), Identity::task("arn:a"));
        for answer in ["", "{}", "[]", r#"{"TaskARN":null}"#, r#"{"TaskARN":7}"#, r#"{"TaskARN":""}"#] {
            assert!(Identity::from_task_metadata(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
