//! The trusted senders of the inner queues. Pure.
//!
//! SQS adds the unique id of the sender to every message. Senders cannot choose it, and there is no key to store or to
//! rotate.

use crate::queue::Message;
use crate::queue::limits::{BATCH_BYTES_MAX, SENDERS_BYTES_MAX};

/// The principals that are trusted senders on the services and tasks queues, by unique id.
///
/// The default trusts no sender: then every task is looked up in ECS before it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders(Vec<String>);

impl Senders {
    /// These unique ids, such as `AROA…` for every session of a role, `AROA…:NAME` for one session, or `AIDA…`.
    pub fn new(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(ids.into_iter().map(Into::into).filter(|id: &String| !id.is_empty()).collect())
    }

    /// Adds a trusted sender.
    pub fn add(&mut self, id: impl Into<String>) {
        self.0.extend(Some(id.into()).filter(|id| !id.is_empty()));
    }

    /// Whether no sender is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a message is trusted: all its senders must be. A redriven dead letter names its earlier senders too, so a
    /// redrive does not make the message of an untrusted sender trusted.
    pub fn is_trusted(&self, message: &Message) -> bool {
        let earlier = message.senders_before.as_deref().map(|all| all.split(','));
        // A redriven message without room for the attribute has lost its earlier senders.
        let may_have_lost_them = message.body.len() + SENDERS_BYTES_MAX > BATCH_BYTES_MAX;
        if may_have_lost_them && earlier.is_none() {
            return false;
        }
        message.sender.as_deref().is_some_and(|sender| self.has(sender))
            && earlier.is_none_or(|mut all| all.all(|sender| self.has(sender)))
    }

    fn has(&self, sender: &str) -> bool {
        let is = |id: &String| sender.strip_prefix(id.as_str()).is_some_and(is_end_or_session);
        self.0.iter().any(is)
    }
}

/// Whether this may follow the unique id: nothing, or the name of a session.
fn is_end_or_session(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(':')
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn is_trusted(ids: &[&str], sender: Option<&str>, before: Option<&str>) -> bool {
        let (queued, text) = (OffsetDateTime::UNIX_EPOCH, |text: &str| text.to_owned());
        let message = Message {
            sender: sender.map(text),
            senders_before: before.map(text),
            ..Message::new(String::new(), String::new(), queued)
        };
        Senders::new(ids.iter().copied()).is_trusted(&message)
    }

    #[test]
    fn an_id_stands_for_itself_and_its_sessions() {
        let ids = ["AROAONE", "AIDATWO", "AROATHREE:anna"];
        for (sender, expected) in [
            ("AROAONE", true),
            ("AROAONE:function", true),
            ("AROAONEMORE", false),
            ("AROAONEMORE:function", false),
            ("AIDATWO", true),
            ("AROATHREE:anna", true),
            ("AROATHREE:annabel", false),
            ("AROATHREE", false),
            ("aroaone", false),
            ("", false),
            (":AROAONE", false),
        ] {
            assert_eq!(is_trusted(&ids, Some(sender), None), expected, "{sender}");
        }
        assert!(!is_trusted(&ids, None, None));
        assert!(!is_trusted(&[], Some("AROAONE"), None));
        assert!(!is_trusted(&[""], Some(""), None));
        assert!(!is_trusted(&[""], Some(":x"), None));
    }

    #[test]
    fn every_sender_of_a_message_must_be_trusted() {
        let ids = ["AROAONE", "AROATWO"];
        for (before, expected) in [
            (None, true),
            (Some("AROATWO:f"), true),
            (Some("AROATWO:f,AROAONE"), true),
            (Some("AROASTRANGER"), false),
            (Some("AROATWO:f,AROASTRANGER:AROAONE"), false),
            (Some("AROATWO,"), false),
            (Some(""), false),
        ] {
            assert_eq!(is_trusted(&ids, Some("AROAONE:x"), before), expected, "{before:?}");
        }
        assert!(!is_trusted(&ids, Some("AROASTRANGER"), Some("AROAONE")));
    }

    #[test]
    fn a_message_without_room_for_its_earlier_senders_is_not_trusted() {
        let message = |bytes, before: Option<&str>| Message {
            sender: Some("AROAONE".to_owned()),
            senders_before: before.map(str::to_owned),
            ..Message::new("m".to_owned(), "x".repeat(bytes), OffsetDateTime::UNIX_EPOCH)
        };
        let senders = Senders::new(["AROAONE"]);
        assert!(senders.is_trusted(&message(BATCH_BYTES_MAX - SENDERS_BYTES_MAX, None)));
        assert!(!senders.is_trusted(&message(BATCH_BYTES_MAX, None)));
        assert!(senders.is_trusted(&message(BATCH_BYTES_MAX, Some("AROAONE"))));
    }
}
