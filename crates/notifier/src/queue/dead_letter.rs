//! The attributes of dead letters, and of messages that are redriven. Pure.

use std::collections::HashMap;

use super::attributes::{Attributes, MESSAGE_ID, SENDERS, SENT};
use super::limits::{ATTRIBUTE_BYTES_MAX, BATCH_BYTES_MAX, REASON_BYTES_MAX};
use super::message::Message;
use crate::model::{DeadLetter, StageName};

/// The attribute for the kind of failure.
const CODE: &str = "code";
const REASON: &str = "reason";
const STAGE: &str = "stage";
const BROADCAST: &str = "broadcast";
const TASK: &str = "task";

/// The attributes that only dead letters have.
pub(super) const NAMES: [&str; 5] = [CODE, REASON, STAGE, BROADCAST, TASK];

/// The attributes of a dead letter, or without one of a redriven message: as many as fit beside the body, the most
/// important first.
pub(super) fn attributes(letter: Option<&DeadLetter>, message: &Message) -> Attributes {
    let about = |read: fn(&DeadLetter) -> Option<&str>| letter.and_then(read).unwrap_or_default().to_owned();
    let mut attributes = Attributes::default();
    for (name, value, bytes_max) in [
        (SENDERS, message.senders(), ATTRIBUTE_BYTES_MAX),
        (CODE, about(|letter| letter.code.as_deref()), ATTRIBUTE_BYTES_MAX),
        (REASON, about(|letter| letter.reason.as_deref()), REASON_BYTES_MAX),
        (MESSAGE_ID, message.id.clone(), ATTRIBUTE_BYTES_MAX),
        (SENT, sent(message), ATTRIBUTE_BYTES_MAX),
        (STAGE, about(|letter| Some(letter.stage.as_str())), ATTRIBUTE_BYTES_MAX),
        (BROADCAST, about(|letter| letter.broadcast.as_deref()), ATTRIBUTE_BYTES_MAX),
        (TASK, about(|letter| letter.task.as_deref()), ATTRIBUTE_BYTES_MAX),
    ] {
        attributes.add(name, &value, bytes_max);
    }
    message.trace.add_to(&mut attributes);
    attributes.fit(BATCH_BYTES_MAX.saturating_sub(message.body.len()));
    attributes
}

/// When a message was first sent, in milliseconds since 1970.
fn sent(message: &Message) -> String {
    (message.sent.unix_timestamp_nanos() / 1_000_000).to_string()
}

/// Reads a dead letter of a stage from its text attributes, or else from its body.
pub(super) fn read(stage: StageName, message: &Message, text: &HashMap<String, String>) -> DeadLetter {
    let own = |name| text.get(name).filter(|value| !value.is_empty()).cloned();
    let about = DeadLetter::about(stage, &message.body, message.sent);
    // A message of the proof of concept has no broadcast: it is a broadcast itself.
    let is_readable = about.cluster.is_some() || about.task.is_some();
    let own_id = || (is_readable && !message.id.is_empty()).then(|| message.id.clone());
    DeadLetter {
        broadcast: text.get(BROADCAST).cloned().or(about.broadcast).or_else(own_id),
        task: text.get(TASK).cloned().or(about.task),
        code: own(CODE),
        reason: own(REASON),
        ..about
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn message(body: &str) -> Message {
        Message::new("m-1".to_owned(), body.to_owned(), OffsetDateTime::UNIX_EPOCH)
    }

    fn read_with(body: &str, pairs: &[(&str, &str)]) -> DeadLetter {
        let text = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        read(StageName::Notify, &message(body), &text)
    }

    #[test]
    fn attributes_count_more_than_the_body() {
        let body = r#"{"notify_task_arn":"arn:t","broadcast":{"id":"b-1"}}"#;
        let letter = read_with(body, &[("task", "arn:u"), ("code", "rejected"), ("reason", "404")]);
        let texts = [&letter.broadcast, &letter.task, &letter.code, &letter.reason];
        assert_eq!(texts.map(|text| text.as_deref().unwrap_or("-")), ["b-1", "arn:u", "rejected", "404"]);
        assert_eq!(read_with(body, &[("code", "")]).code, None, "SQS itself moved it");
    }

    #[test]
    fn a_message_that_names_no_broadcast_is_one_of_its_own_if_it_can_be_read() {
        let broadcast = |body: &str| read_with(body, &[]).broadcast;
        assert_eq!(broadcast(r#"{"cluster":"prod"}"#).as_deref(), Some("m-1"));
        assert_eq!(broadcast(r#"{"notify_task_arn":"arn:t"}"#).as_deref(), Some("m-1"));
        assert_eq!(broadcast("not json"), None);
    }
}
