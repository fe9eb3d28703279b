//! The text forms of keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What the text of an HMAC secret starts with.
pub const HMAC_KEY_PREFIX: &str = "whsec_";
/// What the text of an Ed25519 private key starts with.
pub const PRIVATE_KEY_PREFIX: &str = "whsk_";
/// What the text of an Ed25519 public key starts with.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";
/// The most keys at once: two schemes, each with an old and a new key, and room for a mistake in between.
pub const KEYS_MAX: usize = 8;

/// Bytes of an HMAC secret. Source: Standard Webhooks 1.0.0, "Signature scheme".
const HMAC_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a text is not a list of keys. Says which key, counted from 1, and never repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text holds no key.
    #[error("there is no key")]
    None,
    /// There are more keys than [`KEYS_MAX`].
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
    /// The key does not start as a key of this side does.
    #[error("key {0} does not start with {1}")]
    Prefix(usize, &'static str),
    /// A private key where a public one belongs.
    #[error("key {0} is a private key (`whsk_`): whoever receives needs the public one (`whpk_`)")]
    Private(usize),
    /// A public key where a private one belongs.
    #[error("key {0} is a public key (`whpk_`): whoever signs needs the private one (`whsk_`)")]
    Public(usize),
    /// What follows the prefix is not base64, with its padding.
    #[error("key {0} is not base64 after its prefix")]
    Base64(usize),
    /// The key has too few or too many bytes.
    #[error("key {0} has {1} bytes, not {2}")]
    Length(usize, usize, &'static str),
    /// The bytes are no Ed25519 key, or the two halves of a key pair do not belong together.
    #[error("key {0} is not an Ed25519 key")]
    NotEd25519(usize),
    /// An Ed25519 key, and this build knows only HMAC.
    #[error("key {0} is an Ed25519 key, which needs the cargo feature `ed25519`")]
    NoEd25519(usize),
}

/// A key as its text form says it.
pub(super) enum Key {
    Hmac(Box<Hmac<Sha256>>),
    #[cfg(feature = "ed25519")]
    Private(Box<ed25519_dalek::SigningKey>),
    #[cfg(feature = "ed25519")]
    Public(Box<ed25519_dalek::VerifyingKey>),
}

/// The keys of a text, each with its place from 1: separated by white space or commas.
pub(super) fn split(text: &str) -> Result<impl Iterator<Item = (usize, &str)>, KeyError> {
    let keys = || text.split(|c: char| c.is_whitespace() || c == ',').filter(|key| !key.is_empty());
    match keys().take(KEYS_MAX + 1).count() {
        0 => Err(KeyError::None),
        count if count > KEYS_MAX => Err(KeyError::TooMany),
        _ => Ok((1..).zip(keys())),
    }
}

/// Reads one key of any kind; `expected` are the prefixes that this side knows.
pub(super) fn read(place: usize, text: &str, expected: &'static str) -> Result<Key, KeyError> {
    if let Some(text) = text.strip_prefix(HMAC_KEY_PREFIX) {
        let bytes = decode(place, text)?;
        if !HMAC_KEY_BYTES.contains(&bytes.len()) {
            return Err(KeyError::Length(place, bytes.len(), "24 to 64"));
        }
        let mac =
            Hmac::new_from_slice(&bytes).map_err(|_| KeyError::Length(place, bytes.len(), "24 to 64"))?;
        return Ok(Key::Hmac(Box::new(mac)));
    }
    if let Some(text) = text.strip_prefix(PRIVATE_KEY_PREFIX) {
        return private(place, &decode(place, text)?);
    }
    if let Some(text) = text.strip_prefix(PUBLIC_KEY_PREFIX) {
        return public(place, &decode(place, text)?);
    }
    Err(KeyError::Prefix(place, expected))
}

/// Decodes into memory that is overwritten when dropped, and that never moves while it grows.
fn decode(place: usize, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(text.len())));
    BASE64_STANDARD.decode_vec(text, &mut bytes).map_err(|_| KeyError::Base64(place))?;
    Ok(bytes)
}

/// 64 bytes, private then public key, as the reference libraries write it; or the 32 private ones alone.
#[cfg(feature = "ed25519")]
fn private(place: usize, bytes: &[u8]) -> Result<Key, KeyError> {
    use ed25519_dalek::SigningKey;
    let key = if let Ok(pair) = <&[u8; 64]>::try_from(bytes) {
        SigningKey::from_keypair_bytes(pair).map_err(|_| KeyError::NotEd25519(place))?
    } else if let Ok(seed) = <&[u8; 32]>::try_from(bytes) {
        SigningKey::from_bytes(seed)
    } else {
        return Err(KeyError::Length(place, bytes.len(), "64 or 32"));
    };
    Ok(Key::Private(Box::new(key)))
}

#[cfg(feature = "ed25519")]
fn public(place: usize, bytes: &[u8]) -> Result<Key, KeyError> {
    let bytes = bytes.try_into().map_err(|_| KeyError::Length(place, bytes.len(), "32"))?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotEd25519(place))?;
    // Signatures of a weak key say nothing: some verify for almost any text.
    if key.is_weak() { Err(KeyError::NotEd25519(place)) } else { Ok(Key::Public(Box::new(key))) }
}

#[cfg(not(feature = "ed25519"))]
fn private(place: usize, _: &[u8]) -> Result<Key, KeyError> {
    Err(KeyError::NoEd25519(place))
}

#[cfg(not(feature = "ed25519"))]
fn public(place: usize, _: &[u8]) -> Result<Key, KeyError> {
    Err(KeyError::NoEd25519(place))
}

/// The text of the HMAC secret that these bytes are. They must come from a generator fit for keys.
#[must_use]
pub fn hmac_key(bytes: &[u8; 32]) -> Zeroizing<String> {
    text(HMAC_KEY_PREFIX, bytes)
}

/// The texts of the two keys of a pair.
#[cfg(feature = "ed25519")]
pub struct KeyPair {
    /// For whoever signs: `whsk_…`.
    pub private: Zeroizing<String>,
    /// For whoever receives: `whpk_…`. No secret.
    pub public: String,
}

/// The Ed25519 key pair that grows from these bytes. They must come from a generator fit for keys.
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
    // Room for the whole, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(prefix);
    BASE64_STANDARD.encode_string(bytes, &mut text);
    text
}
