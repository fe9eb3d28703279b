//! The side that verifies.

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

/// How far the time of an attempt may be from now, before or after: what the reference libraries allow.
pub const TOLERANCE: Duration = Duration::from_mins(5);
/// The most signatures that one request may carry: what bounds the work that a stranger can ask for.
pub const SIGNATURES_MAX: usize = 16;

/// The most digits of a timestamp: enough for 30,000 years.
const TIMESTAMP_DIGITS_MAX: usize = 12;
/// The most bytes of one signature as text; those of Ed25519, the longest known, have 92.
const SIGNATURE_BYTES_MAX: usize = 128;

/// Why a request is not accepted as coming from a holder of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is not what Standard Webhooks says it is.
    #[error("header `{header}` {rule}")]
    Header {
        /// The header's name.
        header: &'static str,
        /// What is wrong with it, as the end of a sentence.
        rule: &'static str,
    },
    /// The attempt was made too long ago: a replay, or clocks that disagree.
    #[error("the request was signed {seconds} s ago, longer than allowed")]
    TooOld {
        /// Since when, in seconds.
        seconds: u64,
    },
    /// The attempt will be made: clocks disagree.
    #[error("the request was signed {seconds} s in the future, further than allowed")]
    TooNew {
        /// Until then, in seconds.
        seconds: u64,
    },
    /// None of the signatures is one of these keys over this id, time and body.
    #[error("no signature matches")]
    Mismatch,
}

/// What the headers of a recent request say: well formed, and not yet believed.
///
/// Reading them needs no body, so a request that is malformed, old or replayed late is refused before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    signatures: &'a str,
}

impl<'a> Signed<'a> {
    /// Reads the values of the three headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    ///
    /// `now` is in seconds since 1970-01-01 UTC; for `tolerance`, [`TOLERANCE`] is a good choice. An id that contains a
    /// full stop is refused: the same signature would fit another id with another time.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Header`] when one of them is malformed or too long, [`SignatureError::TooOld`] and
    /// [`SignatureError::TooNew`] when the request was not made about now.
    pub fn read(
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
            false => Ok(Self { id, timestamp, seconds, signatures: signature }),
        }
    }

    /// The id of the delivery.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// When the attempt was made, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }
}

/// The keys of a receiver: it accepts a signature of any of them.
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
    /// The first key that is none, by its place.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let verifier = |(place, text)| match read(place, text, "`whsec_` or `whpk_`")? {
            Key::Hmac(mac) => Ok(Verifier::Hmac(mac)),
            #[cfg(feature = "ed25519")]
            Key::Public(key) => Ok(Verifier::Ed25519(key)),
            #[cfg(feature = "ed25519")]
            Key::Private(_) => Err(KeyError::Private(place)),
        };
        split(text)?.map(verifier).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of these keys signed this body with what the headers say.
    ///
    /// Signatures are compared in constant time. Schemes and signatures that nobody here knows are passed over.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Mismatch`].
    pub fn verify(&self, signed: &Signed<'_>, body: &[u8]) -> Result<(), SignatureError> {
        let head = format!("{}.{}.", signed.id, signed.timestamp);
        let matches = |(scheme, text): (&str, &str)| {
            let signature = BASE64_STANDARD.decode(text).unwrap_or_default();
            self.0.iter().any(|key| key.name() == scheme && key.matches(&head, body, &signature))
        };
        let mut signatures = signed.signatures.split(' ').filter_map(|signature| signature.split_once(','));
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
