//! One run through the dead letters of a stage: each match is settled in the ledger and on its queue.

use futures_util::future::join_all;
use wire::{BroadcastId, Message as _, TaskMessage};

use super::{Action, LetterStatus, Match};
use crate::base::text::chain;
use crate::ledger::{Ledger, LedgerError};
use crate::model::{Delivery, StageName};
use crate::pipeline::endpoint::endpoint;
use crate::queue::{DeadLetterQueue, Message};

/// A dead letter that matched, and its message.
type Matched = (Match, Message);

/// The delivery of a message, as the ledger had it before.
type Before = Box<(BroadcastId, Delivery)>;

/// The result of the ledger's update before the action.
enum Prepared {
    /// The action may proceed.
    Ready(Option<Before>),
    /// Its container was notified in the meantime.
    Notified,
}

/// The parts and the results of a run.
pub(super) struct Run<'a> {
    pub(super) stage: StageName,
    pub(super) queue: &'a DeadLetterQueue,
    pub(super) action: &'a Action,
    pub(super) ledger: &'a Ledger,
    pub(super) found: Vec<Match>,
    /// Messages that stay in the dead-letter queue.
    pub(super) kept: Vec<Message>,
}

impl Run<'_> {
    /// Reads a message's delivery from the ledger. Errors are ignored here.
    pub(super) async fn state(&self, message: &Message) -> Option<Delivery> {
        let (broadcast, expected) = self.delivery(message)?;
        self.ledger.state(&broadcast, &expected.member).await.ok()?
    }

    /// Keeps a message in the dead-letter queue, without its body.
    pub(super) fn keep(&mut self, mut message: Message) {
        message.body = String::new();
        self.kept.push(message);
    }

    /// Takes the action on the matches of one receive.
    pub(super) async fn settle(&mut self, matches: Vec<Matched>) {
        if *self.action == Action::List {
            for matched in matches {
                self.stays(matched, LetterStatus::Listed);
            }
            return;
        }
        let prepared = join_all(matches.iter().map(|(_, message)| self.prepare(message))).await;
        let (mut ready, mut notified) = (Vec::new(), Vec::new());
        for (matched, prepared) in matches.into_iter().zip(prepared) {
            match prepared {
                Ok(Prepared::Ready(before)) => ready.push((matched, before)),
                Ok(Prepared::Notified) => notified.push(matched),
                Err(error) => {
                    let why = format!("the ledger cannot be used: {}", chain(&error));
                    self.stays(matched, LetterStatus::Failed(why));
                }
            }
        }
        let (status, done) = if *self.action == Action::Redrive {
            (LetterStatus::Redriven, self.redrive(ready).await)
        } else {
            (LetterStatus::Dropped, ready.into_iter().map(|(matched, _)| matched).collect())
        };
        self.delete(done, &status).await;
        self.delete(notified, &LetterStatus::AlreadyNotified).await;
    }

    /// The delivery of a message of the tasks queue, as stage 3 reads it; `None` without a ledger.
    fn delivery(&self, message: &Message) -> Option<(BroadcastId, Delivery)> {
        let is_recorded = self.stage == StageName::Notify && self.ledger.is_kept();
        is_recorded.then(|| delivery(message)).flatten()
    }

    /// Records the action in the ledger.
    async fn prepare(&self, message: &Message) -> Result<Prepared, LedgerError> {
        let Some((broadcast, expected)) = self.delivery(message) else { return Ok(Prepared::Ready(None)) };
        let state = self.ledger.state(&broadcast, &expected.member).await?;
        if state.as_ref().is_some_and(Delivery::is_notified) {
            return Ok(Prepared::Notified);
        }
        // The message may name a broadcast that does not exist yet.
        if state.is_none() && self.ledger.asked(&broadcast).await?.is_none() {
            return Ok(Prepared::Ready(None));
        }
        if let Action::Drop { reason } = self.action {
            self.ledger.settle(&broadcast, state.unwrap_or(expected).dropped(reason)).await?;
            return Ok(Prepared::Ready(None));
        }
        let attempts = Some(state.as_ref().map_or(0, Delivery::requests));
        let pending = Delivery { reason: Some("redriven".to_owned()), attempts, ..expected };
        self.ledger.settle(&broadcast, pending).await?;
        Ok(Prepared::Ready(state.map(|before| Box::new((broadcast, before)))))
    }

    /// Sends messages to their source queue. Returns those that were accepted.
    async fn redrive(&mut self, ready: Vec<(Matched, Option<Before>)>) -> Vec<Matched> {
        let (ready, before): (Vec<Matched>, Vec<_>) = ready.into_iter().unzip();
        let (found, messages): (Vec<_>, Vec<_>) = ready.into_iter().unzip();
        let mut failures = self.queue.redrive(&messages).await;
        let mut sent = Vec::new();
        for (place, (matched, before)) in found.into_iter().zip(messages).zip(before).enumerate() {
            let Some(mut why) = failures.remove(&place) else {
                sent.push(matched);
                continue;
            };
            if let Some((broadcast, state)) = before.map(|before| *before)
                && let Err(error) = self.ledger.settle(&broadcast, state).await
            {
                why = format!("{why}; the report shows it as pending: {}", chain(&error));
            }
            self.stays(matched, LetterStatus::Failed(why));
        }
        sent
    }

    /// Deletes messages from the dead-letter queue.
    async fn delete(&mut self, done: Vec<Matched>, status: &LetterStatus) {
        let (found, messages): (Vec<Match>, Vec<_>) = done.into_iter().unzip();
        let mut failures = self.queue.delete(&messages).await;
        for (place, (found, message)) in found.into_iter().zip(messages).enumerate() {
            match failures.remove(&place) {
                None => self.found.push(Match { status: status.clone(), ..found }),
                Some(why) => {
                    let twice = if *status == LetterStatus::Redriven {
                        "the message is back on its queue, but "
                    } else {
                        ""
                    };
                    let why = format!("{twice}could not be deleted from the dead letters: {why}");
                    self.stays((found, message), LetterStatus::Failed(why));
                }
            }
        }
    }

    fn stays(&mut self, (found, message): Matched, status: LetterStatus) {
        self.found.push(Match { status, ..found });
        self.keep(message);
    }
}

/// The delivery of a message of the tasks queue; `None` if its body is not valid. Pure.
fn delivery(message: &Message) -> Option<(BroadcastId, Delivery)> {
    let mut body = TaskMessage::from_body(&message.body).ok()?;
    let broadcast = match body.broadcast.take() {
        Some(broadcast) => broadcast.id,
        None => BroadcastId::try_from(message.id.clone()).ok()?,
    };
    Some((broadcast, Delivery::from(&endpoint(body).ok()?)))
}
