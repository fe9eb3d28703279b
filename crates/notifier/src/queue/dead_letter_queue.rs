//! A queue's dead letters, for whoever sorts them: each stays where it is until it is sent back or deleted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::attributes::{Attributes, MESSAGE_ID, SENDERS, SENT};
use super::batch::{self, Call, EntryError};
use super::dead_letter::{self, DeadLetterReason};
use super::inbox::receive;
use super::limits::{ATTRIBUTE_BYTES_MAX, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, TRIES_MAX, VISIBILITY_MAX};
use super::message::Message;
use super::publish::Outgoing;
use super::settle::{Delete, HandBack};
use super::visibility::{self, Change, ChangeVisibility, InWork};
use super::{Queue, QueueError, Trace};
use crate::base::text::chain;

/// Seconds that a receive waits: enough that SQS asks all its servers, as it does for any wait.
const WAIT_SECONDS: i32 = 1;
/// A dead-letter queue that hides messages for less than this is asked for this.
const VISIBILITY_MIN: Duration = Duration::from_secs(30);

/// The dead letters of one queue.
#[derive(Debug)]
pub(crate) struct DeadLetterQueue {
    source: Queue,
    dead: Queue,
    visibility: Duration,
    in_work: Arc<InWork>,
    keeper: AbortHandle,
}

/// One dead letter; invisible to others while it exists.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    /// The message, with the id and time that it had on its own queue.
    pub(crate) message: Message,
    /// Why it is here. Without a code when SQS itself moved it.
    pub(crate) note: DeadLetterReason,
}

/// A letter that stayed where it is, by its place among those that were to be settled, and why.
pub(crate) type Stayed = BTreeMap<usize, String>;

impl DeadLetterQueue {
    /// The dead letters of `source`; `None` when its redrive policy names no dead-letter queue.
    pub(crate) async fn open(source: Queue) -> Result<Option<Self>, QueueError> {
        let Some(dead) = dead_letter::policy(&source).await?.dead_letters else { return Ok(None) };
        let dead = dead.into_queue();
        let visibility = dead_letter::policy(&dead).await?.visibility.clamp(VISIBILITY_MIN, VISIBILITY_MAX);
        let in_work = Arc::new(InWork::default());
        let keeper =
            tokio::spawn(visibility::extend(Arc::clone(&in_work), dead.clone(), visibility)).abort_handle();
        Ok(Some(Self { source, dead, visibility, in_work, keeper }))
    }

    /// Some letters that nobody holds, ten at most; none when there are no more, as far as SQS sees at this moment.
    pub(crate) async fn receive(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let names = vec!["All".to_owned()];
        let all = receive(&self.dead, &self.in_work, BATCH_ENTRIES_MAX, self.visibility, WAIT_SECONDS, names)
            .await?;
        let letter = |(message, text): (Message, HashMap<_, _>)| {
            let note = note(&message.body, text);
            DeadLetter { message, note }
        };
        Ok(all.into_iter().map(letter).collect())
    }

    /// Sends letters to the queue that they came from, with the ids and times that they had there.
    pub(crate) async fn send_back(&self, letters: &[DeadLetter]) -> Stayed {
        // X-Ray's header is one for each call.
        let mut by_trace = BTreeMap::<Option<&str>, Vec<usize>>::new();
        for (index, letter) in letters.iter().enumerate() {
            by_trace.entry(letter.message.trace.xray.as_deref()).or_default().push(index);
        }
        let mut stayed = Stayed::new();
        for (xray, places) in by_trace {
            let messages = places.iter().filter_map(|&place| letters.get(place));
            let kept: Vec<_> =
                messages.map(|letter| (letter.message.body.as_str(), attributes(&letter.message))).collect();
            let entries: Vec<_> =
                kept.iter().map(|(body, attributes)| Outgoing::new(body, attributes)).collect();
            let trace = Trace { xray: xray.map(str::to_owned), ..Trace::default() };
            if let Err(error) = self.source.send(&entries, &trace).await {
                let refused = error.refused.iter();
                stayed.extend(refused.filter_map(|one| Some((*places.get(one.index)?, text(&one.error)))));
            }
        }
        stayed
    }

    /// Deletes letters.
    pub(crate) async fn delete(&self, letters: &[DeadLetter]) -> Stayed {
        let receipts: Vec<_> = letters.iter().map(|letter| letter.message.receipt.shared()).collect();
        self.settle(&Delete(self.dead.clone()), &receipts).await
    }

    /// Makes letters visible again at once. One that cannot be reached comes back by itself.
    pub(crate) async fn hand_back(&self, letters: Vec<DeadLetter>) -> Stayed {
        let change = |letter: &DeadLetter| Change { handle: letter.message.receipt.shared(), seconds: 0 };
        let changes: Vec<_> = letters.iter().map(change).collect();
        drop(letters); // Not extended from here on.
        let call =
            HandBack { change: ChangeVisibility(self.dead.clone()), in_work: Arc::clone(&self.in_work) };
        self.settle(&call, &changes).await
    }

    async fn settle<C: Call>(&self, call: &C, entries: &[C::Entry]) -> Stayed {
        let given_up = batch::run(call, entries, TRIES_MAX, self.dead.rng()).await;
        given_up.into_iter().map(|one| (one.index, text(&one.error))).collect()
    }
}

impl Drop for DeadLetterQueue {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn text(error: &EntryError) -> String {
    chain(error)
}

/// What a message takes back to its queue.
fn attributes(message: &Message) -> Attributes {
    let sent = (message.sent.unix_timestamp_nanos() / 1_000_000).to_string();
    let mut attributes = Attributes::default();
    attributes.add(SENDERS, &message.senders(), ATTRIBUTE_BYTES_MAX);
    attributes.add(MESSAGE_ID, &message.id, ATTRIBUTE_BYTES_MAX);
    attributes.add(SENT, &sent, ATTRIBUTE_BYTES_MAX);
    message.trace.add_to(&mut attributes);
    attributes.fit(BATCH_BYTES_MAX.saturating_sub(message.body.len()));
    attributes
}

/// Why a letter is here: what its attributes say, and its body where they say nothing.
fn note(body: &str, mut text: HashMap<String, String>) -> DeadLetterReason {
    let mut known = |name| text.remove(name);
    let [stage, code, reason] = ["stage", "code", "reason"].map(|name| known(name).unwrap_or_default());
    let about = DeadLetterReason::about(body, &stage, &code, reason);
    DeadLetterReason {
        broadcast: known("broadcast").or(about.broadcast),
        task: known("task").or(about.task),
        ..about
    }
}
