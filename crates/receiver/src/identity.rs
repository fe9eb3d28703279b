//! Which task this process runs in, so that it can tell its own events from those of a task that had its address before.

use std::sync::Arc;

use crate::refusal::Refusal;

/// The task that this process is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Option<Arc<str>>);

impl Identity {
    /// The task with this ARN.
    #[must_use]
    pub fn task(arn: &str) -> Self {
        Self(Some(arn.into()))
    }

    /// No task in particular: events for whichever task are accepted.
    ///
    /// For a machine outside ECS. On ECS it gives up the promise that no task accepts what was meant for another.
    #[must_use]
    pub fn unchecked() -> Self {
        Self(None)
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
}
