//! The text forms of keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The prefix of an HMAC secret.
pub const HMAC_KEY_PREFIX: &str = "whsec_";
/// The prefix of an Ed25519 private key.
pub const PRIVATE_KEY_PREFIX: &str = "whsk_";
/// The prefix of an Ed25519 public key.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";
/// The maximum number of keys: two schemes, each with an old and a new key, and a reserve of four.
pub const KEYS_MAX: usize = 8;

/// Bytes of an HMAC secret. Source: Standard Webhooks 1.0.0, "Signature scheme".
const HMAC_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a list of keys is invalid. The error names the position of the key, counted from 1, and never repeats the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text contains no key.
    #[error("there is no key")]
    None,
    /// There are more keys than [`KEYS_MAX`].
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
    /// The key has none of the expected prefixes.
    #[error("key {position} does not start with {expected}")]
    Prefix {
        /// The position of the key.
        position: usize,
        /// The expected prefixes.
        expected: &'static str,
    },
    /// The key is private, but a receiver needs the public one.
    #[error("key {position} is a private key (`whsk_`), but a receiver needs the public key (`whpk_`)")]
    Private {
        /// The position of the key.
        position: usize,
    },
    /// The key is public, but a sender needs the private one.
    #[error("key {position} is a public key (`whpk_`), but a sender needs the private key (`whsk_`)")]
    Public {
        /// The position of the key.
        position: usize,
    },
    /// The text after the prefix is not base64 with padding.
    #[error("key {position} is not base64 after its prefix")]
    Base64 {
        /// The position of the key.
        position: usize,
    },
    /// The key is too short or too long.
    #[error("key {position} has {bytes} bytes instead of {expected}")]
    Length {
        /// The position of the key.
        position: usize,
        /// The length of the key in bytes.
        bytes: usize,
        /// The expected lengths.
        expected: &'static str,
    },
    /// The bytes are not an Ed25519 key, or the two halves of the key pair do not match.
    #[error("key {position} is not an Ed25519 key")]
    NotEd25519 {
        /// The position of the key.
        position: usize,
    },
    /// The key is an Ed25519 key, but the cargo feature `ed25519` is off.
    #[error("key {position} is an Ed25519 key, which needs the cargo feature `ed25519`")]
    NoEd25519 {
        /// The position of the key.
        position: usize,
    },
}

/// A key of any kind.
pub(super) enum Key {
    Hmac(Box<Hmac<Sha256>>),
    #[cfg(feature = "ed25519")]
    Private(Box<ed25519_dalek::SigningKey>),
    #[cfg(feature = "ed25519")]
    Public(Box<ed25519_dalek::VerifyingKey>),
}

/// Splits a text at white space and commas into keys, each with its position from 1.
pub(super) fn split(text: &str) -> Result<impl Iterator<Item = (usize, &str)>, KeyError> {
    let keys = || text.split(|c: char| c.is_whitespace() || c == ',').filter(|key| !key.is_empty());
    match keys().take(KEYS_MAX + 1).count() {
        0 => Err(KeyError::None),
        count if count > KEYS_MAX => Err(KeyError::TooMany),
        _ => Ok((1..).zip(keys())),
    }
}

fn length(position: usize, key: &[u8], expected: &'static str) -> KeyError {
    KeyError::Length { position, bytes: key.len(), expected }
}

/// Reads one key of any kind. `expected` names the valid prefixes for the error.
pub(super) fn read(position: usize, text: &str, expected: &'static str) -> Result<Key, KeyError> {
    if let Some(text) = text.strip_prefix(HMAC_KEY_PREFIX) {
        let bytes = decode(position, text)?;
        if !HMAC_KEY_BYTES.contains(&bytes.len()) {
            return Err(length(position, &bytes, "24 to 64"));
        }
        let mac = Hmac::new_from_slice(&bytes).map_err(|_| length(position, &bytes, "24 to 64"))?;
        return Ok(Key::Hmac(Box::new(mac)));
    }
    if let Some(text) = text.strip_prefix(PRIVATE_KEY_PREFIX) {
        return private(position, &decode(position, text)?);
    }
    if let Some(text) = text.strip_prefix(PUBLIC_KEY_PREFIX) {
        return public(position, &decode(position, text)?);
    }
    Err(KeyError::Prefix { position, expected })
}

/// Decodes into memory that is overwritten when dropped. Its capacity suffices, so it never leaves a copy behind.
fn decode(position: usize, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(text.len())));
    BASE64_STANDARD.decode_vec(text, &mut bytes).map_err(|_| KeyError::Base64 { position })?;
    Ok(bytes)
}

/// Reads 64 bytes, the private and the public key as in the reference libraries, or only the 32 private ones.
#[cfg(feature = "ed25519")]
fn private(position: usize, bytes: &[u8]) -> Result<Key, KeyError> {
    use ed25519_dalek::SigningKey;
    let key = if let Ok(pair) = <&[u8; 64]>::try_from(bytes) {
        SigningKey::from_keypair_bytes(pair).map_err(|_| KeyError::NotEd25519 { position })?
    } else if let Ok(seed) = <&[u8; 32]>::try_from(bytes) {
        SigningKey::from_bytes(seed)
    } else {
        return Err(length(position, bytes, "64 or 32"));
    };
    Ok(Key::Private(Box::new(key)))
}

#[cfg(feature = "ed25519")]
fn public(position: usize, bytes: &[u8]) -> Result<Key, KeyError> {
    let bytes = bytes.try_into().map_err(|_| length(position, bytes, "32"))?;
    let key =
        ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotEd25519 { position })?;
    // Signatures of a weak key are valid for almost any text.
    if key.is_weak() { Err(KeyError::NotEd25519 { position }) } else { Ok(Key::Public(Box::new(key))) }
}

#[cfg(not(feature = "ed25519"))]
fn private(position: usize, _: &[u8]) -> Result<Key, KeyError> {
    Err(KeyError::NoEd25519 { position })
}

#[cfg(not(feature = "ed25519"))]
fn public(position: usize, _: &[u8]) -> Result<Key, KeyError> {
    Err(KeyError::NoEd25519 { position })
}

/// Returns the text form of an HMAC secret. The bytes must come from a cryptographically secure random generator.
#[must_use]
pub fn hmac_key(bytes: &[u8; 32]) -> Zeroizing<String> {
    text(HMAC_KEY_PREFIX, bytes)
}

/// The text forms of an Ed25519 key pair.
#[cfg(feature = "ed25519")]
#[non_exhaustive]
pub struct KeyPair {
    /// The sender's key, `whsk_…`.
    pub private: Zeroizing<String>,
    /// The receiver's key, `whpk_…`. It is not a secret.
    pub public: String,
}

/// Returns the Ed25519 key pair of this seed. The bytes must come from a cryptographically secure random generator.
#[cfg(feature = "ed25519")]
#[must_use]
pub fn key_pair(seed: &[u8; 32]) -> KeyPair {
    let key = ed25519_dalek::SigningKey::from_bytes(seed);
    KeyPair {
        private: text(PRIVATE_KEY_PREFIX, &*Zeroizing::new(key.to_keypair_bytes())),
        public: text(PUBLIC_KEY_PREFIX, key.verifying_key().as_bytes()).to_string(),
    }
}

fn text(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // With the full capacity, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(prefix);
    BASE64_STANDARD.encode_string(bytes, &mut text);
    text
}
