//! Signatures by Standard Webhooks 1.0.0. They prove who sent a request and when, and that nobody changed it.
//!
//! The signed text is `{id}.{timestamp}.{body}`. There are two schemes:
//!
//! | scheme | algorithm | sender's key | receiver's key |
//! | --- | --- | --- | --- |
//! | `v1` | HMAC-SHA256 | one shared secret, `whsec_…` | the same secret |
//! | `v1a` | Ed25519, feature `ed25519` | private key, `whsk_…` | public key, `whpk_…` |
//!
//! With `v1`, every task that can verify a request could also forge one for another task. With `v1a`, no task can.
//!
//! A request has one signature per key of the sender, and a receiver accepts a signature of any of its keys. To rotate a
//! key without an interruption: add the new key to the receivers, then to the sender; remove the old key from the
//! sender, then from the receivers.
//!
//! The caller passes in the time and the random bytes of new keys. Keys never appear in `Debug` output or in errors, and
//! their memory is overwritten when they are dropped.
//!
//! ```
//! use ecs_task_notifier_wire::signature::{SignatureHeaders, SigningKeys, TOLERANCE, VerifyingKeys};
//!
//! let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
//! let (id, body, now) = ("msg_1", br#"{"n":1}"#, 1_614_265_330);
//! let signature = SigningKeys::parse(secret)?.sign(id, now, body);
//!
//! let headers = SignatureHeaders::parse(id, "1614265330", &signature, now + 20, TOLERANCE)?;
//! let keys = VerifyingKeys::parse(secret)?;
//! assert!(keys.verify(&headers, body).is_ok());
//! assert!(keys.verify(&headers, br#"{"n":2}"#).is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod key;
mod sign;
mod verify;

pub use key::{HMAC_KEY_PREFIX, KEYS_MAX, KeyError, PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX, hmac_key};
#[cfg(feature = "ed25519")]
pub use key::{KeyPair, key_pair};
pub use sign::SigningKeys;
pub use verify::{SIGNATURES_MAX, SignatureError, SignatureHeaders, TOLERANCE, VerifyingKeys};

/// The name of HMAC-SHA256 in the header.
const HMAC: &str = "v1";
/// The name of Ed25519 in the header.
#[cfg(feature = "ed25519")]
const ED25519: &str = "v1a";

#[cfg(test)]
mod tests;
