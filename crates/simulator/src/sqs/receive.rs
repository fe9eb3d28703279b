//! Receiving messages, with long polling.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::Account;
use super::receipts::Receipt;
use super::settings::{VISIBILITY_SECONDS_MAX, WAIT_SECONDS_MAX};
use super::store::{Ask, IN_FLIGHT_MAX, Message};
use super::{Inner, errors, request};
use crate::error::AwsError;
use crate::faults::Faults;
use crate::lock;

/// The system attributes that can be asked for. The last two are FIFO's, and never answered.
const SYSTEM_NAMES: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "AWSTraceHeader",
    "MessageGroupId",
    "DeadLetterQueueSourceArn",
    "SequenceNumber",
    "MessageDeduplicationId",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receive {
    queue_url: Option<String>,
    /// The older member for system attributes; both count.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
}

/// A receive whose numbers are in range. What is absent is the queue's to say.
#[derive(Debug)]
struct Query {
    url: String,
    limit: usize,
    hide_for: Option<Duration>,
    wait: Option<Duration>,
    system: Vec<String>,
    attributes: Vec<String>,
}

/// A message in the hands of a consumer.
#[derive(Debug)]
struct Found {
    message: Message,
    handle: String,
}

/// What one look into the queue brought.
struct Look {
    found: Vec<Found>,
    /// When it is worth looking again, unless something is sent before.
    next_due: Option<Duration>,
}

impl Receive {
    fn check(self) -> Result<Query, AwsError> {
        let url = request::url(self.queue_url.as_ref())?.to_owned();
        let number = |value: Option<i64>, range, name, reason| {
            value.map(|value| request::within(value, range, name, reason)).transpose()
        };
        let limit = number(
            self.max_number_of_messages,
            1..=10,
            "MaxNumberOfMessages",
            "Must be between 1 and 10, if provided.",
        )?;
        let wait = number(
            self.wait_time_seconds,
            0..=WAIT_SECONDS_MAX,
            "WaitTimeSeconds",
            "Must be >= 0 and <= 20, if provided.",
        )?;
        let hide_for = number(
            self.visibility_timeout,
            0..=VISIBILITY_SECONDS_MAX,
            "VisibilityTimeout",
            "Must be between 0 and 43200, if provided.",
        )?;
        let system = [self.attribute_names, self.message_system_attribute_names].concat();
        if let Some(name) =
            system.iter().find(|name| *name != "All" && !SYSTEM_NAMES.contains(&name.as_str()))
        {
            return Err(errors::unknown_attribute(name));
        }
        Ok(Query {
            url,
            limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1),
            hide_for: hide_for.map(Duration::from_secs),
            wait: wait.map(Duration::from_secs),
            system,
            attributes: self.message_attribute_names,
        })
    }
}

/// Answers as soon as there is a message, or when the wait is over.
pub(super) async fn run(inner: &Inner, ask: Receive) -> Result<Value, AwsError> {
    let query = ask.check()?;
    let (wake, wait) = {
        let (mut account, now) = inner.now();
        let queue = account.queue(&query.url, now)?;
        let wait = query.wait.unwrap_or(Duration::from_secs(queue.settings.wait_s));
        (Arc::clone(&queue.wake), wait)
    };
    let deadline = inner.clock.now() + wait;
    loop {
        // Listens before it looks, so that nothing sent in between is missed.
        let mut woken = pin!(wake.notified());
        woken.as_mut().enable();
        let now = inner.clock.now();
        let look = lock(&inner.account).look(&query, wait.is_zero(), &inner.faults, now)?;
        if !look.found.is_empty() || now >= deadline {
            return Ok(query.answer(&look.found));
        }
        let until = look.next_due.map_or(deadline, |due| due.min(deadline));
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(until.saturating_sub(now)) => {}
        }
    }
}

impl Account {
    fn look(&mut self, query: &Query, short: bool, faults: &Faults, now: Duration) -> Result<Look, AwsError> {
        let queue = self.queue(&query.url, now)?;
        // Only a short poll has this error: "If you use long polling, Amazon SQS returns no error messages."
        if short && queue.store.counts().in_flight >= IN_FLIGHT_MAX {
            return Err(errors::too_many_in_flight());
        }
        let (arn, redrive) = (Arc::clone(&queue.arn), queue.settings.redrive.clone());
        // Where the dead-letter queue is gone messages stay and are received again, rather than being lost.
        let redrive = redrive.filter(|redrive| self.has_queue_at(&redrive.dead_letter_target_arn));
        let queue = self.queue(&query.url, now)?;
        let ask = Ask {
            limit: query.limit,
            hide_for: query.hide_for.unwrap_or(Duration::from_secs(queue.settings.visibility_s)),
            receives_max: redrive.as_ref().map(|redrive| redrive.max_receive_count),
        };
        let batch = queue.store.receive(now, ask, || faults.delivers_twice());
        let (number, next_due) = (queue.number, queue.store.next_due());
        if let Some(redrive) = redrive {
            self.bury(batch.dead, &arn, &redrive.dead_letter_target_arn, now);
        }
        let found = batch.received.into_iter().map(|(key, message)| {
            let handle = Receipt { queue: number, key, receive: message.receives }.handle();
            Found { message, handle }
        });
        Ok(Look { found: found.collect(), next_due })
    }
}

impl Query {
    fn answer(&self, found: &[Found]) -> Value {
        if found.is_empty() {
            return json!({});
        }
        json!({ "Messages": found.iter().map(|found| self.wire(found)).collect::<Vec<_>>() })
    }

    fn wire(&self, Found { message, handle }: &Found) -> Value {
        let content = &message.content;
        let mut members = Map::new();
        members.insert("MessageId".to_owned(), json!(&*message.id));
        members.insert("ReceiptHandle".to_owned(), json!(handle));
        members.insert("MD5OfBody".to_owned(), json!(content.body_md5));
        members.insert("Body".to_owned(), json!(content.body));
        let system = self.system_of(message);
        if !system.is_empty() {
            members.insert("Attributes".to_owned(), json!(system));
        }
        let attributes = content.attributes.filtered(&self.attributes);
        if let Some(digest) = attributes.md5() {
            members.insert("MessageAttributes".to_owned(), json!(attributes.wire()));
            members.insert("MD5OfMessageAttributes".to_owned(), json!(digest));
        }
        members.into()
    }

    fn system_of(&self, message: &Message) -> BTreeMap<&'static str, String> {
        let all = self.system.iter().any(|name| name == "All");
        let wanted = |name: &&str| all || self.system.iter().any(|asked| asked == name);
        let millis = |time: Duration| time.as_millis().to_string();
        let value = |name: &str| match name {
            "SenderId" => Some(message.content.sender.clone()),
            "SentTimestamp" => Some(millis(message.sent)),
            "ApproximateReceiveCount" => Some(message.receives.to_string()),
            "ApproximateFirstReceiveTimestamp" => message.first_received.map(millis),
            "AWSTraceHeader" => message.content.trace.clone(),
            "MessageGroupId" => message.content.group.as_deref().map(str::to_owned),
            "DeadLetterQueueSourceArn" => message.source.as_deref().map(str::to_owned),
            _ => None,
        };
        let names = SYSTEM_NAMES.into_iter().filter(wanted);
        names.filter_map(|name| value(name).map(|value| (name, value))).collect()
    }
}
