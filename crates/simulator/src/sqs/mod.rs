//! SQS: standard queues in memory, by AWS's rules.
//!
//! ```text
//! queues, tags           operations on queues
//! send, receive, consume operations on messages, and batch for what the batches share
//! moves, move_tasks      message move tasks: redrive from dead-letter queues
//! account                the queues, and what passes between two of them
//! store                  the messages of one queue, by time
//! settings, redrive      what the owner of a queue sets
//! content, attributes    what a producer puts into a message, and its digests
//! receipts, names        receipt handles; names, URLs and ARNs
//! request, errors        reading requests; AWS's errors
//! ```
//!
//! Exact where AWS is "approximate": counts are right at once, every receive sees the whole queue, and the message that
//! waited longest comes first. Rules come from the API Reference and the Developer Guide; error texts are AWS's own
//! where they are known. Two things that the documentation leaves open are as AWS has been seen to do them: any receipt
//! of a message in flight changes its visibility, and only its latest one deletes it.
//!
//! Not here: FIFO queues (refused), permissions and encryption (attributes are kept and returned, and mean nothing).

mod account;
mod attributes;
mod batch;
mod consume;
mod content;
mod errors;
mod move_tasks;
mod moves;
mod names;
mod queues;
mod receipts;
mod receive;
mod redrive;
mod request;
mod send;
mod settings;
mod store;
mod tags;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::error::AwsError;
use crate::faults::Faults;
use crate::identity::NOBODY;
use crate::lock;
use account::Account;
use names::Home;

/// The queues of one account and Region. Clones share them.
#[derive(Clone, Debug)]
pub struct Sqs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    account: Mutex<Account>,
    clock: Clock,
    faults: Faults,
}

impl Inner {
    /// The account, and the time for which it is asked.
    fn now(&self) -> (MutexGuard<'_, Account>, Duration) {
        let account = lock(&self.account);
        (account, self.clock.now())
    }
}

impl Sqs {
    /// No queues yet. Queue URLs start with `base_url`; of `faults`, those for entries and messages count here.
    pub fn new(base_url: &str, region: &str, account: &str, clock: Clock, faults: Faults) -> Self {
        let seed = format!("{base_url} {account} {}", clock.now().as_nanos());
        let account = Mutex::new(Account::new(Home::new(base_url, region, account), seed));
        Self { inner: Arc::new(Inner { account, clock, faults }) }
    }

    /// Carries out one operation of the JSON protocol: the name after `AmazonSQS.` in `X-Amz-Target`.
    ///
    /// `ReceiveMessage` takes as long as its wait. Dropping it meanwhile loses no message.
    ///
    /// # Errors
    ///
    /// What AWS would answer, with both codes.
    pub async fn call(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        self.call_by(NOBODY, operation, body).await
    }

    /// The same for a caller with this unique id: messages that it sends have it as their `SenderId`. A message that is
    /// moved to or from dead letters keeps its own.
    ///
    /// # Errors
    ///
    /// What AWS would answer, with both codes.
    pub async fn call_by(&self, caller: &str, operation: &str, body: Value) -> Result<Value, AwsError> {
        match operation {
            "ReceiveMessage" => receive::run(&self.inner, request::read(body)?).await,
            "StartMessageMoveTask" => moves::start(&self.inner, request::read(body)?),
            _ => self.call_at_once(caller, operation, body),
        }
    }

    /// Sends a message to the queue with this URL or name, from a caller with this unique id.
    pub(crate) fn send(&self, caller: &str, queue: &str, body: &str) -> Result<(), AwsError> {
        self.call_at_once(caller, "SendMessage", json!({ "QueueUrl": queue, "MessageBody": body })).map(drop)
    }

    /// The operations that neither wait nor go on afterwards.
    fn call_at_once(&self, caller: &str, operation: &str, body: Value) -> Result<Value, AwsError> {
        let faults = &self.inner.faults;
        match operation {
            "CreateQueue" => self.ask(body, Account::create_queue),
            "GetQueueUrl" => self.ask(body, |account, ask, _| account.get_queue_url(ask)),
            "ListQueues" => self.ask(body, |account, ask, _| account.list_queues(&ask)),
            "ListDeadLetterSourceQueues" => {
                self.ask(body, |account, ask, _| account.list_dead_letter_source_queues(&ask))
            }
            "DeleteQueue" => self.ask(body, |account, ask, now| account.delete_queue(&ask, now)),
            "PurgeQueue" => self.ask(body, |account, ask, now| account.purge_queue(&ask, now)),
            "SetQueueAttributes" => self.ask(body, Account::set_queue_attributes),
            "GetQueueAttributes" => {
                self.ask(body, |account, ask, now| account.get_queue_attributes(&ask, now))
            }
            "TagQueue" => self.ask(body, Account::tag_queue),
            "UntagQueue" => self.ask(body, Account::untag_queue),
            "ListQueueTags" => self.ask(body, |account, ask, now| account.list_queue_tags(&ask, now)),
            "SendMessage" => self.ask(body, |account, ask, now| account.send_message(ask, caller, now)),
            "SendMessageBatch" => {
                self.ask(body, |account, ask, now| account.send_message_batch(ask, caller, faults, now))
            }
            "DeleteMessage" => self.ask(body, |account, ask, now| account.delete_message(&ask, now)),
            "DeleteMessageBatch" => {
                self.ask(body, |account, ask, now| account.delete_message_batch(ask, faults, now))
            }
            "ChangeMessageVisibility" => {
                self.ask(body, |account, ask, now| account.change_message_visibility(&ask, now))
            }
            "ChangeMessageVisibilityBatch" => {
                self.ask(body, |account, ask, now| account.change_message_visibility_batch(ask, faults, now))
            }
            "CancelMessageMoveTask" => {
                self.ask(body, |account, ask, _| account.cancel_message_move_task(ask))
            }
            "ListMessageMoveTasks" => self.ask(body, |account, ask, _| account.list_message_move_tasks(&ask)),
            _ => Err(AwsError::client(
                "UnknownOperationException",
                format!("SQS is simulated without the operation {operation}"),
            )),
        }
    }

    /// Reads the request before the account is locked, so that a large one does not block others.
    fn ask<T: DeserializeOwned>(
        &self,
        body: Value,
        run: impl FnOnce(&mut Account, T, Duration) -> Result<Value, AwsError>,
    ) -> Result<Value, AwsError> {
        let ask = request::read(body)?;
        let (mut account, now) = self.inner.now();
        run(&mut account, ask, now)
    }
}

#[cfg(test)]
mod tests;
