//! Verifying: the keys of a receiver.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

#[cfg(feature = "ed25519")]
use super::ED25519;
use super::HMAC;
use super::key::{Key, KeyError, read, split};
use crate::headers::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use crate::id::BroadcastId;

/// The maximum difference between the timestamp and now: 5 minutes, as in the reference libraries.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// The maximum number of signatures in one request. It bounds the work that an unauthenticated request can cause.
pub const SIGNATURES_MAX: usize = 16;

/// The maximum number of digits in a timestamp: enough for 30,000 years.
const TIMESTAMP_DIGITS_MAX: usize = 12;
/// The maximum length of a signature in bytes. The longest known ones, of Ed25519, have 92.
const SIGNATURE_BYTES_MAX: usize = 128;

/// Why a request could not be authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is missing or malformed.
    #[error("header `{header}` {rule}")]
    Header {
        /// The name of the header.
        header: &'static str,
        /// What is wrong with it, as the end of a sentence.
        rule: &'static str,
    },
    /// The timestamp is too old: a replay, or the clocks differ.
    #[error("the request was signed {seconds} s ago, which is longer than allowed")]
    TooOld {
        /// The age of the timestamp in seconds.
        seconds: u64,
    },
    /// The timestamp is in the future: the clocks differ.
    #[error("the request was signed {seconds} s in the future, which is further than allowed")]
    TooNew {
        /// How far the timestamp is in the future, in seconds.
        seconds: u64,
    },
    /// No signature of any of the keys matches the id, timestamp and body.
    #[error("no signature matches")]
    Mismatch,
}

/// The headers of a recent request: well formed, but not yet verified.
///
/// Parsing them needs no body, so a malformed or old request is refused before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureHeaders<'a> {
    id: &'a str,
    timestamp_text: &'a str,
    timestamp: i64,
    signatures: &'a str,
}

impl<'a> SignatureHeaders<'a> {
    /// Parses the values of the three headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    ///
    /// `now` is in seconds since 1970-01-01 UTC. The usual `tolerance` is [`TOLERANCE`]. An id with a full stop is
    /// refused, because the same signature would be valid for another id and timestamp.
    ///
    /// # Errors
    ///
    /// Returns [`SignatureError::Header`] if a header is malformed or too long, and [`SignatureError::TooOld`] or
    /// [`SignatureError::TooNew`] if the timestamp is too far from `now`.
    pub fn parse(
        id: &'a str,
        timestamp: &'a str,
        signature: &'a str,
        now: i64,
        tolerance: Duration,
    ) -> Result<Self, SignatureError> {
        let wrong = |header, rule| Err(SignatureError::Header { header, rule });
        if id.is_empty() || id.len() > BroadcastId::BYTES_MAX {
            return wrong(WEBHOOK_ID, "must have 1 to 256 bytes");
        }
        if !id.bytes().all(|b| b.is_ascii_graphic() && b != b'.') {
            return wrong(WEBHOOK_ID, "must be printable ASCII without spaces and full stops");
        }
        let digits = timestamp.len() <= TIMESTAMP_DIGITS_MAX && timestamp.bytes().all(|b| b.is_ascii_digit());
        let Some(seconds) = digits.then(|| timestamp.parse::<i64>().ok()).flatten() else {
            return wrong(WEBHOOK_TIMESTAMP, "must be whole seconds since 1970");
        };
        if signature.len() > SIGNATURES_MAX * SIGNATURE_BYTES_MAX
            || signature.split(' ').count() > SIGNATURES_MAX
        {
            return wrong(WEBHOOK_SIGNATURE, "has more than 16 signatures");
        }
        let away = now.abs_diff(seconds);
        match away > tolerance.as_secs() {
            true if seconds < now => Err(SignatureError::TooOld { seconds: away }),
            true => Err(SignatureError::TooNew { seconds: away }),
            false => Ok(Self { id, timestamp_text: timestamp, timestamp: seconds, signatures: signature }),
        }
    }

    /// The id of the delivery.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// The time of the attempt, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }
}

/// The keys of a receiver, which accepts a signature of any of them.
#[derive(Clone)]
pub struct VerifyingKeys(pub(super) Vec<Verifier>);

#[derive(Clone)]
pub(super) enum Verifier {
    Hmac(Box<Hmac<Sha256>>),
    #[cfg(feature = "ed25519")]
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl VerifyingKeys {
    /// Reads keys, `whsec_…` or `whpk_…`, separated by white space or commas.
    ///
    /// # Errors
    ///
    /// Returns the first invalid key, by its position.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let verifier = |(position, text)| match read(position, text, "`whsec_` or `whpk_`")? {
            Key::Hmac(mac) => Ok(Verifier::Hmac(mac)),
            #[cfg(feature = "ed25519")]
            Key::Public(key) => Ok(Verifier::Ed25519(key)),
            #[cfg(feature = "ed25519")]
            Key::Private(_) => Err(KeyError::Private { position }),
        };
        split(text)?.map(verifier).collect::<Result<_, _>>().map(Self)
    }

    /// Verifies that one of these keys signed this body with the id and timestamp of the headers.
    ///
    /// Signatures are compared in constant time. Unknown schemes are ignored.
    ///
    /// # Errors
    ///
    /// Returns [`SignatureError::Mismatch`] if no signature matches.
    pub fn verify(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<(), SignatureError> {
        let head = format!("{}.{}.", headers.id, headers.timestamp_text);
        let matches = |(scheme, text): (&str, &str)| {
            let signature = BASE64_STANDARD.decode(text).unwrap_or_default();
            self.0.iter().any(|key| key.name() == scheme && key.matches(&head, body, &signature))
        };
        let mut signatures = headers.signatures.split(' ').filter_map(|signature| signature.split_once(','));
        if signatures.any(matches) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

impl FromStr for VerifyingKeys {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl Verifier {
    fn name(&self) -> &'static str {
        match self {
            Self::Hmac(_) => HMAC,
            #[cfg(feature = "ed25519")]
            Self::Ed25519(_) => ED25519,
        }
    }

    fn matches(&self, head: &str, body: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(mac) => {
                let mac = Mac::chain_update(Mac::chain_update((**mac).clone(), head), body);
                mac.verify_slice(signature).is_ok()
            }
            #[cfg(feature = "ed25519")]
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature).is_ok_and(|signature| {
                key.verify_strict(&[head.as_bytes(), body].concat(), &signature).is_ok()
            }),
        }
    }
}

impl fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKeys")?;
        f.debug_list().entries(self.0.iter().map(Verifier::name)).finish()
    }
}
