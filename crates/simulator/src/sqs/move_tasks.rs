//! The message move tasks that there are, and how AWS shows them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Most tasks that AWS remembers of one queue.
pub(super) const REMEMBERED_MAX: usize = 10;

/// The tasks of all queues, oldest first.
#[derive(Debug, Default)]
pub(super) struct Moves {
    tasks: Vec<Task>,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) source: String,
    /// Back to each message's own source if `None`.
    pub(super) destination: Option<String>,
    pub(super) rate: Option<u64>,
    pub(super) status: Status,
    pub(super) moved: u64,
    pub(super) to_move: usize,
    pub(super) started_ms: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Cancelling,
    Cancelled,
    Completed,
    Failed(&'static str),
}

impl Moves {
    /// Forgets the tasks of a queue that is gone.
    pub(super) fn forget(&mut self, source: &str) {
        self.tasks.retain(|task| task.source != source);
    }

    pub(super) fn of<'a>(&'a self, source: &'a str) -> impl DoubleEndedIterator<Item = &'a Task> {
        self.tasks.iter().filter(move |task| task.source == source)
    }

    pub(super) fn task(&mut self, id: &str) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.id == id)
    }

    /// Adds a task, and forgets the oldest of the same queue when there are too many.
    pub(super) fn add(&mut self, task: Task) {
        if self.of(&task.source).count() >= REMEMBERED_MAX
            && let Some(oldest) = self.tasks.iter().position(|old| old.source == task.source)
        {
            self.tasks.remove(oldest);
        }
        self.tasks.push(task);
    }
}

impl Task {
    pub(super) fn handle(&self) -> String {
        let handle = json!({ "taskId": self.id, "sourceArn": self.source });
        BASE64_STANDARD.encode(handle.to_string())
    }

    pub(super) fn wire(&self) -> Value {
        let (status, failure) = match self.status {
            Status::Running => ("RUNNING", None),
            Status::Cancelling => ("CANCELLING", None),
            Status::Cancelled => ("CANCELLED", None),
            Status::Completed => ("COMPLETED", None),
            Status::Failed(reason) => ("FAILED", Some(reason)),
        };
        let members = [
            ("TaskHandle", (self.status == Status::Running).then(|| json!(self.handle()))),
            ("Status", Some(json!(status))),
            ("SourceArn", Some(json!(self.source))),
            ("DestinationArn", self.destination.as_ref().map(|arn| json!(arn))),
            ("MaxNumberOfMessagesPerSecond", self.rate.map(|rate| json!(rate))),
            ("ApproximateNumberOfMessagesMoved", Some(json!(self.moved))),
            ("ApproximateNumberOfMessagesToMove", Some(json!(self.to_move))),
            ("FailureReason", failure.map(|reason| json!(reason))),
            ("StartedTimestamp", u64::try_from(self.started_ms).ok().map(|ms| json!(ms))),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// What a task handle says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handle {
    pub(super) task_id: String,
    pub(super) source_arn: String,
}

impl Handle {
    /// Reads a handle as [`Task::handle`] writes it.
    pub(super) fn read(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }
}
