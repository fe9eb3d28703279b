//! Dead letters back to work, or away for good.
//!
//! A letter is sent to the queue that it came from before it is deleted here: a crash in between makes a duplicate, which
//! its id makes recognisable, and never a loss. The ledger hears of it before that, so that no outcome of the new try is
//! overwritten.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use wire::{BroadcastId, Message as _, TaskMessage};

use super::StageName;
use super::endpoint::endpoint;
use crate::base::text::chain;
use crate::ledger::{Ledger, LedgerError};
use crate::model::Cause;
use crate::model::Delivery;
use crate::queue::{DeadLetter, DeadLetterQueue, Queue, QueueError};

/// DeadLetterQueue that one run looks at.
pub const LETTERS_MAX: usize = 10_000;
/// How long one run looks for letters.
pub const TIME_MAX: Duration = Duration::from_mins(15);
/// SQS may answer with nothing although there is something; so many times in a row it does not.
const EMPTY_RECEIVES_MAX: u32 = 2;

/// What is to become of the letters that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: they are only looked at.
    Look,
    /// They go back to the queue that they came from.
    Redrive,
    /// They are deleted.
    Drop {
        /// Why, for the report.
        reason: String,
    },
}

/// Which letters are meant: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The broadcast's id.
    pub broadcast: Option<String>,
    /// Name of the service that the message is for.
    pub service: Option<String>,
    /// A word for the kind of failure: one of [`SortedLetter::words`].
    pub code: Option<String>,
    /// ARN of the task, or how its last part begins.
    pub task: Option<String>,
}

impl Filter {
    fn matches(&self, found: &SortedLetter) -> bool {
        let id = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let is_task = |wanted: &String| {
            found.task.as_ref().is_some_and(|task| task == wanted || id(task).starts_with(wanted.as_str()))
        };
        (self.broadcast.is_none() || self.broadcast == found.broadcast)
            && self.task.as_ref().is_none_or(is_task)
            && self.code.as_ref().is_none_or(|code| found.words().contains(code))
            && self.service.as_ref().is_none_or(|service| found.services.contains(service))
    }
}

/// What there is to choose from: how many letters of each kind were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct There {
    /// By the broadcast's id.
    pub broadcasts: BTreeMap<String, usize>,
    /// By the name of the service.
    pub services: BTreeMap<String, usize>,
    /// By the ARN of the task.
    pub tasks: BTreeMap<String, usize>,
    /// By each of [`SortedLetter::words`].
    pub codes: BTreeMap<String, usize>,
}

impl There {
    fn add(&mut self, found: &SortedLetter) {
        let count =
            |all: &mut BTreeMap<String, usize>, one: &String| *all.entry(one.clone()).or_default() += 1;
        found.broadcast.iter().for_each(|one| count(&mut self.broadcasts, one));
        found.services.iter().for_each(|one| count(&mut self.services, one));
        found.task.iter().for_each(|one| count(&mut self.tasks, one));
        found.words().iter().for_each(|one| count(&mut self.codes, one));
    }

    /// Adds what there is of another stage.
    pub fn merge(&mut self, other: Self) {
        let add = |all: &mut BTreeMap<String, usize>, more: BTreeMap<String, usize>| {
            for (one, number) in more {
                *all.entry(one).or_default() += number;
            }
        };
        add(&mut self.broadcasts, other.broadcasts);
        add(&mut self.services, other.services);
        add(&mut self.tasks, other.tasks);
        add(&mut self.codes, other.codes);
    }
}

/// A dead letter that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct SortedLetter {
    /// The stage that its message is for.
    pub stage: StageName,
    /// The broadcast's id; `None` when the body cannot be read.
    pub broadcast: Option<String>,
    /// The services that the message is for; a whole cluster's message names none.
    pub services: Vec<String>,
    /// ARN of the task.
    pub task: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// The word for the kind of failure; `None` when SQS itself moved the message after too many tries.
    pub code: Option<String>,
    /// What went wrong.
    pub reason: Option<String>,
    /// What the ledger says of its delivery, where there is a ledger.
    pub known: Option<Delivery>,
    /// Size of the body.
    pub body_bytes: usize,
    /// When the message was first sent.
    pub sent: OffsetDateTime,
    /// What became of it.
    pub fate: Fate,
}

impl SortedLetter {
    /// Every word for what went wrong, as a report has them too: the letter's code, the outcome, the cause and the status
    /// of the last answer.
    #[must_use]
    pub fn words(&self) -> BTreeSet<String> {
        let known = self.known.as_ref();
        let outcome = known.and_then(|entry| entry.outcome).map(|outcome| outcome.as_str().to_owned());
        let cause = known.and_then(|entry| entry.cause).map(|cause| cause.as_str().to_owned());
        let status = known.and_then(|entry| entry.status).map(|status| status.to_string());
        // SQS moves a message without a word.
        let moved = self.code.is_none().then(|| Cause::GivenUp.as_str().to_owned());
        [self.code.clone(), outcome, cause, status, moved].into_iter().flatten().collect()
    }
}

/// What became of a letter that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was only looked at, and is still there.
    Left,
    /// It is back on its queue.
    Redriven,
    /// It was deleted.
    Dropped,
    /// Its delivery had been told in the meantime, so it was only deleted.
    Told,
    /// It is still there, because of this.
    Stayed(String),
}

/// What a run came to.
#[derive(Debug)]
pub struct Sorted {
    /// Every letter that matched.
    pub found: Vec<SortedLetter>,
    /// How many letters were looked at. One that failed again in the meantime, and came back, counts once.
    pub seen: usize,
    /// Of which kinds these were.
    pub there: There,
    /// Whether letters may be left that nobody looked at: [`LETTERS_MAX`] or [`TIME_MAX`] was reached.
    pub is_cut: bool,
    /// SQS stopped answering before the end.
    pub error: Option<QueueError>,
}

/// Why dead letters cannot be sorted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedriveError {
    /// The queue's redrive policy names no dead-letter queue.
    #[error("queue {queue} has no dead-letter queue")]
    NoQueue {
        /// URL of the queue.
        queue: String,
    },
    /// SQS does not say which it is.
    #[error("the queue's dead-letter queue cannot be found")]
    Unknown(#[from] QueueError),
}

/// Looks at every dead letter of a stage's queue once, and does what is asked with those that match. All others are
/// invisible to everybody else in the meantime, and visible again at the end.
///
/// What fails for one letter stands in its [`Fate`] and stops no other.
///
/// # Errors
///
/// [`RedriveError`], before anything was looked at.
pub async fn sort(
    stage: StageName,
    source: Queue,
    filter: &Filter,
    action: &Action,
    ledger: &Ledger,
) -> Result<Sorted, RedriveError> {
    let queue = source.url().to_owned();
    let letters = DeadLetterQueue::open(source).await?.ok_or(RedriveError::NoQueue { queue })?;
    let desk = Desk { stage, letters: &letters, action, ledger };
    let until = Instant::now() + TIME_MAX;
    let (mut found, mut held, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let (mut looked, mut letters_seen, mut there) = (0, 0, There::default());
    let (mut empty, mut error, mut is_cut) = (0, None, false);
    while empty < EMPTY_RECEIVES_MAX {
        if looked >= LETTERS_MAX || Instant::now() >= until {
            is_cut = true;
            break;
        }
        let batch = match letters.receive().await {
            Ok(batch) => batch,
            Err(failed) => {
                error = Some(failed);
                break;
            }
        };
        empty = if batch.is_empty() { empty + 1 } else { 0 };
        looked += batch.len();
        let mut matching = Vec::new();
        let known = join_all(batch.iter().map(|letter| desk.known(letter))).await;
        for (mut letter, known) in batch.into_iter().zip(known) {
            let one = SortedLetter { known, ..about(stage, &letter) };
            // One that comes back here in the meantime waits for another run.
            let is_new = letter.message.id.is_empty() || seen.insert(letter.message.id.clone());
            letters_seen += usize::from(is_new);
            if is_new {
                there.add(&one);
            }
            if is_new && filter.matches(&one) {
                matching.push((one, letter));
            } else {
                letter.message.body = String::new();
                held.push(letter);
            }
        }
        desk.settle(matching, &mut found, &mut held).await;
    }
    letters.hand_back(held).await;
    Ok(Sorted { found, seen: letters_seen, there, is_cut, error })
}

/// The fields of any queue's body that say whom it is for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Glimpse {
    cluster: Option<String>,
    service: Option<String>,
    services: Vec<String>,
    container: Option<String>,
    notify_task_arn: Option<String>,
}

/// What a letter says of itself. Pure.
fn about(stage: StageName, letter: &DeadLetter) -> SortedLetter {
    let (message, note) = (&letter.message, &letter.note);
    let glimpse: Glimpse = serde_json::from_str(&message.body).unwrap_or_default();
    // A message of the proof of concept has no broadcast: it is its own.
    let is_readable = glimpse.cluster.is_some() || glimpse.notify_task_arn.is_some();
    let own = || (is_readable && !message.id.is_empty()).then(|| message.id.clone());
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let services = glimpse.service.into_iter().chain(glimpse.services);
    SortedLetter {
        stage,
        broadcast: note.broadcast.clone().or_else(own),
        services: services.filter(|service| !service.is_empty()).collect(),
        task: note.task.clone(),
        container: glimpse.container,
        code: known(&note.code),
        reason: known(&note.reason),
        known: None,
        body_bytes: message.body.len(),
        sent: message.sent,
        fate: Fate::Left,
    }
}

/// The delivery that a letter of the tasks queue is for; `None` when the body names none, as stage 3 would say too. Pure.
fn delivery(letter: &DeadLetter) -> Option<(BroadcastId, Delivery)> {
    let mut message = TaskMessage::from_body(&letter.message.body).ok()?;
    let broadcast = match message.broadcast.take() {
        Some(broadcast) => broadcast.id,
        None => BroadcastId::try_from(letter.message.id.clone()).ok()?,
    };
    Some((broadcast, Delivery::from(&endpoint(message).ok()?)))
}

/// How the ledger was prepared for what happens to a letter.
enum Prepared {
    /// It goes on; this is what the ledger said before.
    Ready(Option<Box<(BroadcastId, Delivery)>>),
    /// The delivery was told.
    Told,
}

/// Where the letters of one run are settled.
struct Desk<'a> {
    stage: StageName,
    letters: &'a DeadLetterQueue,
    action: &'a Action,
    ledger: &'a Ledger,
}

impl Desk<'_> {
    /// Does what is asked with letters that match; those that stay are held.
    async fn settle(
        &self,
        all: Vec<(SortedLetter, DeadLetter)>,
        found: &mut Vec<SortedLetter>,
        held: &mut Vec<DeadLetter>,
    ) {
        if *self.action == Action::Look {
            for (one, letter) in all {
                found.push(one);
                held.push(letter);
            }
            return;
        }
        let prepared = join_all(all.iter().map(|(_, letter)| self.prepare(letter))).await;
        let (mut ready, mut told, mut before) = (Vec::new(), Vec::new(), Vec::new());
        for ((mut one, letter), prepared) in all.into_iter().zip(prepared) {
            match prepared {
                Ok(Prepared::Ready(known)) => {
                    before.push(known);
                    ready.push((one, letter));
                }
                Ok(Prepared::Told) => told.push((one, letter)),
                Err(error) => {
                    one.fate = Fate::Stayed(format!("the ledger cannot be used: {}", chain(&error)));
                    found.push(one);
                    held.push(letter);
                }
            }
        }
        let (done, ready) = if *self.action == Action::Redrive {
            (Fate::Redriven, self.send_back(ready, before, found, held).await)
        } else {
            (Fate::Dropped, ready)
        };
        self.delete(ready, &done, found, held).await;
        self.delete(told, &Fate::Told, found, held).await;
    }

    /// What the ledger says of a letter's delivery. That it says nothing keeps nobody from sorting letters.
    async fn known(&self, letter: &DeadLetter) -> Option<Delivery> {
        if self.stage != StageName::Notify || !self.ledger.is_kept() {
            return None;
        }
        let (broadcast, expected) = delivery(letter)?;
        self.ledger.state(&broadcast, &expected.member).await.ok()?
    }

    /// Tells the ledger what happens next to a letter's delivery.
    async fn prepare(&self, letter: &DeadLetter) -> Result<Prepared, LedgerError> {
        let ledger = self.ledger;
        if self.stage != StageName::Notify || !ledger.is_kept() {
            return Ok(Prepared::Ready(None));
        }
        let Some((broadcast, entry)) = delivery(letter) else { return Ok(Prepared::Ready(None)) };
        let state = ledger.state(&broadcast, &entry.member).await?;
        if state.as_ref().is_some_and(Delivery::is_notified) {
            return Ok(Prepared::Told);
        }
        // Whoever wrote the letter may have named a broadcast that is still to come.
        if state.is_none() && !ledger.has(&broadcast).await? {
            return Ok(Prepared::Ready(None));
        }
        if let Action::Drop { reason } = self.action {
            ledger.drop_delivery(&broadcast, &entry.member, reason).await?;
            return Ok(Prepared::Ready(None));
        }
        let reason = Some("sent back to work".to_owned());
        let pending =
            Delivery { reason, attempts: Some(state.as_ref().map_or(0, Delivery::requests)), ..entry };
        ledger.settle(&broadcast, pending).await?;
        Ok(Prepared::Ready(state.map(|before| Box::new((broadcast, before)))))
    }

    /// Sends letters to their queue; the answer is those that are there.
    async fn send_back(
        &self,
        ready: Vec<(SortedLetter, DeadLetter)>,
        before: Vec<Option<Box<(BroadcastId, Delivery)>>>,
        found: &mut Vec<SortedLetter>,
        held: &mut Vec<DeadLetter>,
    ) -> Vec<(SortedLetter, DeadLetter)> {
        let (found_ready, letters): (Vec<_>, Vec<_>) = ready.into_iter().unzip();
        let mut stayed = self.letters.send_back(&letters).await;
        let mut sent = Vec::new();
        for (place, ((mut one, letter), before)) in
            found_ready.into_iter().zip(letters).zip(before).enumerate()
        {
            let Some(mut why) = stayed.remove(&place) else {
                sent.push((one, letter));
                continue;
            };
            // It did not come back to work after all.
            if let Some((broadcast, entry)) = before.map(|before| *before)
                && let Err(error) = self.ledger.settle(&broadcast, entry).await
            {
                why = format!("{why}; its report says that it is pending: {}", chain(&error));
            }
            one.fate = Fate::Stayed(why);
            found.push(one);
            held.push(letter);
        }
        sent
    }

    /// Deletes letters that are done with.
    async fn delete(
        &self,
        done: Vec<(SortedLetter, DeadLetter)>,
        fate: &Fate,
        found: &mut Vec<SortedLetter>,
        held: &mut Vec<DeadLetter>,
    ) {
        let (ones, letters): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        let mut stayed: BTreeMap<usize, String> = self.letters.delete(&letters).await;
        for (place, (mut one, letter)) in ones.into_iter().zip(letters).enumerate() {
            match stayed.remove(&place) {
                None => one.fate = fate.clone(),
                Some(why) => {
                    let twice =
                        if *fate == Fate::Redriven { "it is back on its queue too, and " } else { "" };
                    one.fate = Fate::Stayed(format!("{twice}could not be deleted here: {why}"));
                    held.push(letter);
                }
            }
            found.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn letter() -> SortedLetter {
        SortedLetter {
            stage: StageName::Notify,
            broadcast: Some("b-1".to_owned()),
            services: vec!["web".to_owned()],
            task: None,
            container: None,
            code: Some("rejected".to_owned()),
            reason: None,
            known: None,
            body_bytes: 0,
            sent: OffsetDateTime::UNIX_EPOCH,
            fate: Fate::Left,
        }
    }

    #[test]
    fn a_filter_wants_everything_that_it_names() {
        let found = letter();
        let some = |text: &str| Some(text.to_owned());
        assert!(Filter::default().matches(&found));
        let both = Filter { broadcast: some("b-1"), service: some("web"), ..Filter::default() };
        assert!(both.matches(&found));
        assert!(!Filter { code: some("failed"), ..both.clone() }.matches(&found));
        assert!(!Filter { task: some("arn:t"), ..both }.matches(&found));
    }

    #[test]
    fn a_letter_is_found_by_every_word_that_a_report_has_for_it() {
        let known = Delivery {
            outcome: Some(Outcome::Failed),
            cause: Some(Cause::Answered),
            status: Some(503),
            ..Delivery::default()
        };
        let found = SortedLetter { code: Some("unfinished".to_owned()), known: Some(known), ..letter() };
        let matches = |found: &SortedLetter, word: &str| {
            Filter { code: Some(word.to_owned()), ..Filter::default() }.matches(found)
        };
        for word in ["unfinished", "failed", "answered", "503"] {
            assert!(matches(&found, word), "{word}");
        }
        assert!(!matches(&found, "given-up") && !matches(&found, "50"));
        assert!(matches(&SortedLetter { code: None, ..letter() }, "given-up"), "SQS moved it");
        let task = Some("arn:aws:ecs:eu-west-1:111122223333:task/prod/86622f1c9d".to_owned());
        let short = Filter { task: Some("86622f1c".to_owned()), ..Filter::default() };
        assert!(short.matches(&SortedLetter { task, ..letter() }) && !short.matches(&letter()));
    }
}
