//! Message move tasks: taking dead letters back to where they came from.
//!
//! Sources: Amazon SQS API Reference, `StartMessageMoveTask`; Developer Guide, "Learn how to configure a dead-letter
//! queue redrive": "All redriven messages are considered new messages with a new messageID and enqueueTime".

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::move_tasks::{Handle, REMEMBERED_MAX, Status, Task};
use super::request;
use super::store::Message;
use super::{Inner, errors};
use crate::error::AwsError;
use crate::lock;

/// Messages that a task without a rate moves before others get their turn.
const STRIDE: u64 = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Start {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Cancel {
    task_handle: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    source_arn: Option<String>,
    max_results: Option<i64>,
}

/// Starts a task, which runs on by itself until it is done, cancelled, or the simulator ends.
pub(super) fn start(inner: &Arc<Inner>, ask: Start) -> Result<Value, AwsError> {
    let (mut account, now) = inner.now();
    let task = account.new_move(ask, now)?;
    let (id, rate) = (task.id.clone(), task.rate);
    let handle = task.handle();
    account.moves.add(task);
    tokio::spawn(drive(Arc::downgrade(inner), id, rate));
    Ok(json!({ "TaskHandle": handle }))
}

/// Moves the messages of one task, at its rate if it has one.
async fn drive(inner: Weak<Inner>, id: String, rate: Option<u64>) {
    let pace = rate.map(|rate| Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1));
    let mut ticks = pace.map(tokio::time::interval);
    let stride = if ticks.is_some() { 1 } else { STRIDE };
    loop {
        match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => tokio::task::yield_now().await,
        }
        let Some(inner) = inner.upgrade() else { return };
        let now = inner.clock.now();
        let mut account = lock(&inner.account);
        for _ in 0..stride {
            if !account.move_one(&id, now) {
                return;
            }
        }
    }
}

impl Account {
    fn new_move(&mut self, ask: Start, now: Duration) -> Result<Task, AwsError> {
        let source = request::required(ask.source_arn, "SourceArn")?;
        let rate = ask.max_number_of_messages_per_second;
        let name = "MaxNumberOfMessagesPerSecond";
        let rate = rate
            .map(|rate| request::within(rate, 1..=500, name, "Must be between 1 and 500, if provided."))
            .transpose()?;
        let to_move =
            self.queue_at(&source, now).ok_or_else(|| no_queue("SourceArn"))?.store.counts().visible;
        if self.sources_of(&source).next().is_none() {
            return Err(errors::invalid_parameter("Source queue must be configured as a Dead Letter Queue."));
        }
        let destination = ask.destination_arn;
        if destination.as_ref().is_some_and(|arn| !self.has_queue_at(arn)) {
            return Err(no_queue("DestinationArn"));
        }
        if destination.as_ref() == Some(&source) {
            return Err(errors::invalid_parameter("Source and destination queue must not be the same."));
        }
        if self.moves.of(&source).any(|task| matches!(task.status, Status::Running | Status::Cancelling)) {
            return Err(errors::invalid_parameter(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given \
                 time.",
            ));
        }
        let (id, started_ms) = (self.new_id(), now.as_millis());
        Ok(Task { id, source, destination, rate, status: Status::Running, moved: 0, to_move, started_ms })
    }

    /// Moves the next message of a task; `false` when there is nothing left to do.
    fn move_one(&mut self, id: &str, now: Duration) -> bool {
        let Some(task) = self.moves.task(id) else { return false };
        let (source, destination) = (task.source.clone(), task.destination.clone());
        let end = if task.status == Status::Cancelling {
            Some(Status::Cancelled)
        } else {
            self.carry(&source, destination, now).err()
        };
        let Some(task) = self.moves.task(id) else { return false };
        match end {
            Some(status) => task.status = status,
            None => task.moved += 1,
        }
        end.is_none()
    }

    /// Carries one message over, or says how the task ends.
    fn carry(&mut self, source: &str, destination: Option<String>, now: Duration) -> Result<(), Status> {
        let gone = Status::Failed("AWS.SimpleQueueService.NonExistentQueue");
        let queue = self.queue_at(source, now).ok_or(gone)?;
        let (key, message) = queue.store.first_visible().ok_or(Status::Completed)?;
        let own = || message.source.as_deref().map(str::to_owned);
        let destination = destination.or_else(own).ok_or(Status::Failed("CouldNotDetermineMessageSource"))?;
        let content = Arc::clone(&message.content);
        // The message leaves its queue only when the other is known to be there.
        if !self.has_queue_at(&destination) {
            return Err(gone);
        }
        let new = Message::new(&self.new_id(), content, now);
        self.queue_at(source, now).ok_or(gone)?.store.remove(key);
        self.queue_at(&destination, now).ok_or(gone)?.push(new, now, Duration::ZERO);
        Ok(())
    }

    pub(super) fn cancel_message_move_task(&mut self, ask: Cancel) -> Result<Value, AwsError> {
        let text = request::required(ask.task_handle, "TaskHandle")?;
        let handle = Handle::read(&text)
            .ok_or_else(|| errors::invalid_parameter("Value for parameter TaskHandle is invalid."))?;
        if !self.has_queue_at(&handle.source_arn) {
            return Err(no_queue("SourceArn"));
        }
        let task = self.moves.task(&handle.task_id).filter(|task| task.source == handle.source_arn);
        let task = task.ok_or_else(|| errors::no_such_resource("Task does not exist."))?;
        if task.status != Status::Running {
            return Err(errors::unsupported("Only active tasks can be cancelled."));
        }
        task.status = Status::Cancelling;
        Ok(json!({ "ApproximateNumberOfMessagesMoved": task.moved }))
    }

    pub(super) fn list_message_move_tasks(&self, ask: &List) -> Result<Value, AwsError> {
        let source = request::required(ask.source_arn.as_deref(), "SourceArn")?;
        let limit =
            request::within(ask.max_results.unwrap_or(1), 1..=10, "MaxResults", "Must be between 1 and 10.")?;
        if !self.has_queue_at(source) {
            return Err(no_queue("SourceArn"));
        }
        let tasks = self.moves.of(source).rev().take(usize::try_from(limit).unwrap_or(REMEMBERED_MAX));
        Ok(json!({ "Results": tasks.map(Task::wire).collect::<Vec<_>>() }))
    }
}

fn no_queue(parameter: &str) -> AwsError {
    errors::no_such_resource(format!(
        "The resource that you specified for the {parameter} parameter doesn't exist."
    ))
}
