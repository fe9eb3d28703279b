//! The ids of broadcasts, of their parts, and of deliveries.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a text is not a valid id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("an id must not be empty")]
    Empty,
    /// The text has more than [`BroadcastId::BYTES_MAX`] bytes.
    #[error("an id of {0} bytes is longer than the {max} allowed", max = BroadcastId::BYTES_MAX)]
    TooLong(usize),
    /// The text contains a character that is not printable ASCII, or a space.
    #[error("an id must be printable ASCII without spaces, but contains {0:?}")]
    Character(char),
}

/// The id of one broadcast: one event addressed to a fleet.
///
/// It is the id of the event if the sender set one, otherwise the id of the SQS message that started the broadcast.
/// Later stages use it to detect repeats, so two events must never have the same id.
///
/// ```
/// use ecs_task_notifier_wire::BroadcastId;
///
/// let id: BroadcastId = "release-42".parse()?;
/// assert_eq!(id.as_str(), "release-42");
/// # Ok::<_, ecs_task_notifier_wire::IdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BroadcastId(String);

impl BroadcastId {
    /// The maximum length of an id in bytes. Every message, log line and ledger record repeats the id.
    pub const BYTES_MAX: usize = 256;

    /// Returns the id of the broadcast that these texts describe, for example a source, the id of its event and a rule.
    ///
    /// The id is `evt_` and a [`fingerprint`], so a repeated event gets the same id.
    #[must_use]
    pub fn derive(parts: &[&str]) -> Self {
        Self(format!("evt_{}", fingerprint(parts)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BroadcastId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(IdError::TooLong(text.len()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(bad) => Err(IdError::Character(bad)),
            None => Ok(Self(text)),
        }
    }
}

impl FromStr for BroadcastId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::try_from(text.to_owned())
    }
}

impl From<BroadcastId> for String {
    fn from(id: BroadcastId) -> Self {
        id.0
    }
}

impl fmt::Display for BroadcastId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of one delivery: one broadcast to one container of one task. The header `webhook-id` carries it.
///
/// The id is a hash of broadcast, task and container. A stage that runs again after a crash therefore uses the same id,
/// and the receiver detects the repeat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryId(String);

impl DeliveryId {
    /// Returns the id of the delivery of `broadcast` to `container` of the task with this ARN.
    ///
    /// The id is `dlv_` and 27 URL-safe characters: the first 160 bits of a SHA-256, which makes collisions practically
    /// impossible.
    #[must_use]
    pub fn derive(broadcast: &BroadcastId, task_arn: &str, container: &str) -> Self {
        Self(format!("dlv_{}", digest::<20>([broadcast.as_str(), task_arn, container])))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of one part of a broadcast's scope: the endpoints that one message of the services queue covers.
///
/// Like a [`DeliveryId`] it is a hash, so a stage that runs again uses the same id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartId(String);

impl PartId {
    /// Returns the id of the part that these texts describe: 16 URL-safe characters, so that 5,000 ids fit into one
    /// ledger record.
    #[must_use]
    pub fn derive(parts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(digest::<12>(parts))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns 27 URL-safe characters for these texts: the first 160 bits of a SHA-256, which makes collisions practically
/// impossible. The same texts always give the same characters.
#[must_use]
pub fn fingerprint(parts: &[&str]) -> String {
    digest::<20>(parts)
}

/// Returns the first `BYTES` of a SHA-256 over these texts, as URL-safe characters.
fn digest<const BYTES: usize>(parts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        // With its length, so that ("ab", "c") and ("a", "bc") have different ids.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let bits = digest.first_chunk::<BYTES>().map_or(&[][..], |chunk| &chunk[..]);
    BASE64_URL_SAFE_NO_PAD.encode(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcast(text: &str) -> BroadcastId {
        BroadcastId::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_broadcast_id_is_short_printable_text() {
        for (text, wrong) in [
            ("", IdError::Empty),
            ("a b", IdError::Character(' ')),
            ("a\n", IdError::Character('\n')),
            ("ä", IdError::Character('ä')),
            (&"x".repeat(257), IdError::TooLong(257)),
        ] {
            assert_eq!(BroadcastId::try_from(text.to_owned()), Err(wrong), "{text:?}");
        }
        assert_eq!(broadcast("3f/a:1").as_str(), "3f/a:1");
    }

    #[test]
    fn a_delivery_id_never_changes() {
        let id = DeliveryId::derive(&broadcast("b-1"), "arn:aws:ecs:eu-west-1:1:task/prod/a", "web");
        assert_eq!(id.as_str(), "dlv_tYUAFf71dSt1KX3fdxhe5CHIndM");
    }

    #[test]
    fn a_derived_broadcast_id_is_valid_and_never_changes() {
        let id = BroadcastId::derive(&["aws.s3", "event-1", "prices"]);
        assert_eq!(id.as_str(), "evt_MvG89RPPziJI9vXmcGlFPsEmKk4");
        assert_eq!(broadcast(id.as_str()), id);
        assert_ne!(id, BroadcastId::derive(&["aws.s3", "event-1prices"]));
    }

    #[test]
    fn a_delivery_id_depends_on_each_part() {
        let of = |b, t, c| DeliveryId::derive(&broadcast(b), t, c);
        let all = [of("b", "t", "c"), of("bt", "", "c"), of("b", "tc", ""), of("b", "c", "t")];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
