//! Messages in, and what becomes of each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName as System;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::attributes::{MESSAGE_ID, SENDERS, SENT};
use super::dead_letter::{self, DeadLetterError, DeadLetterReason, Policy};
use super::limits::{BATCH_ENTRIES_MAX, CALL_TIME_MAX, RECEIVE_WAIT_SECONDS, VISIBILITY_MAX, VISIBILITY_MIN};
use super::message::Message;
use super::settle::{Collector, Delete, HandBack};
use super::visibility::{self, Change, ChangeVisibility, InWork};
use super::{Queue, QueueError, in_time, trace};

/// One queue as its worker sees it.
///
/// Every received message ends in exactly one of [`done`](Self::done), [`hand_back`](Self::hand_back) and
/// [`dead_letter`](Self::dead_letter). Until then it is kept invisible to others, for at most 12 hours.
#[derive(Debug)]
pub struct Inbox {
    queue: Queue,
    policy: Policy,
    in_work: Arc<InWork>,
    deletes: Collector<Arc<str>>,
    returns: Collector<Change>,
    keeper: AbortHandle,
}

impl Inbox {
    /// Reads the queue's visibility timeout and redrive policy (`GetQueueAttributes`, and `GetQueueUrl` for the
    /// dead-letter queue), and starts the background work. Must be called within a tokio runtime.
    pub async fn open(queue: Queue) -> Result<Self, QueueError> {
        let mut policy = dead_letter::policy(&queue).await?;
        policy.visibility = policy.visibility.clamp(VISIBILITY_MIN, VISIBILITY_MAX);
        let in_work = Arc::new(InWork::default());
        let keeper = tokio::spawn(visibility::extend(Arc::clone(&in_work), queue.clone(), policy.visibility));
        let change = ChangeVisibility(queue.clone());
        Ok(Self {
            deletes: Collector::start(Delete(queue.clone())),
            returns: Collector::start(HandBack { change, in_work: Arc::clone(&in_work) }),
            keeper: keeper.abort_handle(),
            queue,
            policy,
            in_work,
        })
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Waits up to 20 seconds for messages and takes up to `most` of them, ten at most.
    ///
    /// Dropping the future while it waits is safe, but a message that SQS was just handing out then stays invisible for
    /// the queue's visibility timeout.
    pub async fn receive(&self, most: usize) -> Result<Vec<Message>, QueueError> {
        let names = [trace::PARENT, trace::STATE, MESSAGE_ID, SENT, SENDERS].map(str::to_owned).into();
        // Said with every call, so that a queue whose timeout is changed meanwhile does not outrun the extensions.
        let visibility = self.policy.visibility;
        let all = receive(&self.queue, &self.in_work, most, visibility, RECEIVE_WAIT_SECONDS, names).await?;
        Ok(all.into_iter().map(|(message, _)| message).collect())
    }

    /// Deletes a message whose work is done. The call is made in the background, together with others;
    /// [`close`](Self::close) waits for it.
    pub async fn done(&self, message: Message) {
        self.deletes.add(message.receipt.shared(), Some(message.receipt)).await;
    }

    /// Gives a message back to the queue: it is visible again after `delay`, which is cut to whole seconds and 12 hours.
    /// The call is made in the background, together with others; [`close`](Self::close) waits for it.
    pub async fn hand_back(&self, message: Message, delay: Duration) {
        let change = Change { handle: message.receipt.shared(), seconds: seconds(delay.min(VISIBILITY_MAX)) };
        drop(message); // Not extended from here on.
        self.returns.add(change, None).await;
    }

    /// Whether SQS would move the message to the dead letters, without a reason, rather than deliver it again.
    #[must_use]
    pub fn is_last_receive(&self, message: &Message) -> bool {
        self.policy.is_last_receive(message)
    }

    /// Moves a message to the queue's dead-letter queue, with the reason as message attributes.
    ///
    /// SQS knows only of its own dead letters where they came from: to bring these back, `StartMessageMoveTask` needs the
    /// destination. They keep their message id and time, so their deliveries keep their ids.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError`]; the message is handed back with `delay` instead.
    pub async fn dead_letter(
        &self,
        message: Message,
        letter: &DeadLetterReason,
        delay: Duration,
    ) -> Result<(), DeadLetterError> {
        let buried = self.policy.bury(&self.queue, &message, letter).await;
        match buried {
            Ok(()) => self.done(message).await,
            Err(_) => self.hand_back(message, delay).await,
        }
        buried
    }

    /// Makes the calls that are still waiting. Whatever does not get through within `limit` comes back to the queue by
    /// itself. Messages that are settled after this come back too.
    pub async fn close(&self, limit: Duration) {
        let (deleted, returned) = tokio::join!(self.deletes.close(limit), self.returns.close(limit));
        self.keeper.abort();
        if deleted && returned {
            info!(queue = self.queue.name(), "Closed the queue");
        } else {
            warn!(
                queue = self.queue.name(),
                "Closed the queue before SQS took every delete; some messages will be delivered again"
            );
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Takes messages off a queue and hides them: at most `most` and ten, each with its text attributes of these names.
pub(super) async fn receive(
    queue: &Queue,
    in_work: &Arc<InWork>,
    most: usize,
    visibility: Duration,
    wait_seconds: i32,
    names: Vec<String>,
) -> Result<Vec<(Message, HashMap<String, String>)>, QueueError> {
    let system =
        [System::ApproximateReceiveCount, System::SentTimestamp, System::SenderId, System::AwsTraceHeader];
    let call = queue
        .client()
        .receive_message()
        .queue_url(queue.url())
        .max_number_of_messages(i32::try_from(most.clamp(1, BATCH_ENTRIES_MAX)).unwrap_or(1))
        .wait_time_seconds(wait_seconds)
        .visibility_timeout(seconds(visibility))
        .set_message_system_attribute_names(Some(system.into()))
        .set_message_attribute_names(Some(names));
    let limit = CALL_TIME_MAX + Duration::from_secs(wait_seconds.unsigned_abs().into());
    let answer = in_time(queue.url(), "ReceiveMessage", limit, call.send()).await?;
    let now = Instant::now();
    let messages = answer.messages.unwrap_or_default().into_iter().filter_map(|raw| {
        let Some(handle) = raw.receipt_handle.as_deref() else {
            warn!(
                queue = queue.name(),
                "SQS delivered a message without a receipt handle, which cannot be settled"
            );
            return None;
        };
        let receipt = in_work.add(handle, now);
        let system = raw.attributes.unwrap_or_default().into_iter();
        let system = system.map(|(name, value)| (name.as_str().to_owned(), value)).collect();
        let text = raw.message_attributes.unwrap_or_default().into_iter();
        let text = text.filter_map(|(name, value)| Some((name, value.string_value?))).collect();
        let (id, body) = (raw.message_id.unwrap_or_default(), raw.body.unwrap_or_default());
        Some((Message { receipt, ..Message::parse(id, body, &system, &text) }, text))
    });
    Ok(messages.collect())
}

pub(super) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
