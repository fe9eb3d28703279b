//! Who is believed on the inner queues. Pure.
//!
//! SQS stamps every message with the unique id of the principal that sent it. Nobody can choose it, and there is no key
//! to keep or to rotate.

use crate::queue::Message;
use crate::queue::limits::{BATCH_BYTES_MAX, SENDERS_BYTES_MAX};

/// The principals whose messages are believed on the services and tasks queues, by unique id.
///
/// The default believes nobody: then every task is described in ECS before it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders(Vec<String>);

impl Senders {
    /// These unique ids, such as `AROA…` for every session of a role, `AROA…:NAME` for one session, or `AIDA…`.
    pub fn new(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(ids.into_iter().map(Into::into).filter(|id: &String| !id.is_empty()).collect())
    }

    /// Believes one more.
    pub fn add(&mut self, id: impl Into<String>) {
        self.0.extend(Some(id.into()).filter(|id| !id.is_empty()));
    }

    /// Whether nobody is believed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a message is believed: everybody who has sent it must be. A dead letter that was sent back names those
    /// before its last sender, so what a stranger wrote stays a stranger's, whoever brings it back.
    #[must_use]
    pub fn believe(&self, message: &Message) -> bool {
        let earlier = message.senders_before.as_deref().map(|all| all.split(','));
        // A dead letter whose body left no room for them does not say who sent it before.
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

/// What may follow the unique id: nothing, or the name of a session.
fn is_end_or_session(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(':')
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn believed(ids: &[&str], sender: Option<&str>, before: Option<&str>) -> bool {
        let (queued, text) = (OffsetDateTime::UNIX_EPOCH, |text: &str| text.to_owned());
        let message = Message {
            sender: sender.map(text),
            senders_before: before.map(text),
            ..Message::new(String::new(), String::new(), queued)
        };
        Senders::new(ids.iter().copied()).believe(&message)
    }

    #[test]
    fn an_id_stands_for_itself_and_its_sessions() {
        let ids = ["AROAONE", "AIDATWO", "AROATHREE:anna"];
        for (sender, is_believed) in [
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
            assert_eq!(believed(&ids, Some(sender), None), is_believed, "{sender}");
        }
        assert!(!believed(&ids, None, None));
        assert!(!believed(&[], Some("AROAONE"), None));
        assert!(!believed(&[""], Some(""), None));
        assert!(!believed(&[""], Some(":x"), None));
    }

    #[test]
    fn everybody_who_sent_a_message_must_be_believed() {
        let ids = ["AROAONE", "AROATWO"];
        for (before, is_believed) in [
            (None, true),
            (Some("AROATWO:f"), true),
            (Some("AROATWO:f,AROAONE"), true),
            (Some("AROASTRANGER"), false),
            (Some("AROATWO:f,AROASTRANGER:AROAONE"), false),
            (Some("AROATWO,"), false),
            (Some(""), false),
        ] {
            assert_eq!(believed(&ids, Some("AROAONE:x"), before), is_believed, "{before:?}");
        }
        assert!(!believed(&ids, Some("AROASTRANGER"), Some("AROAONE")));
    }

    #[test]
    fn a_message_without_room_to_say_who_sent_it_before_is_not_believed() {
        let message = |bytes, before: Option<&str>| Message {
            sender: Some("AROAONE".to_owned()),
            senders_before: before.map(str::to_owned),
            ..Message::new("m".to_owned(), "x".repeat(bytes), OffsetDateTime::UNIX_EPOCH)
        };
        let senders = Senders::new(["AROAONE"]);
        assert!(senders.believe(&message(BATCH_BYTES_MAX - SENDERS_BYTES_MAX, None)));
        assert!(!senders.believe(&message(BATCH_BYTES_MAX, None)));
        assert!(senders.believe(&message(BATCH_BYTES_MAX, Some("AROAONE"))));
    }
}
