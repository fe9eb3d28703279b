//! Signatures by Standard Webhooks 1.0.0: who sent a request, when, and that nothing in it was changed.
//!
//! What is signed is `{id}.{timestamp}.{body}`. Two schemes exist: `v1`, HMAC-SHA256, where both sides hold one secret
//! (`whsec_…`); and `v1a`, Ed25519, where the sender holds a private key (`whsk_…`) and receivers a public one
//! (`whpk_…`). With `v1`, every task that can check an event could also forge one for another task; with `v1a` none can.
//!
//! A request carries one signature per key of the sender, and a receiver accepts a signature of any key it knows, so
//! keys rotate without a moment in which the two disagree: give receivers the new key beside the old one, then the
//! sender, then take the old one away, receivers last.
//!
//! Pure: the time comes in, and so does the chance from which a key is made. Keys never appear in `Debug` or in an error,
//! and their memory is overwritten when they are dropped.
//!
//! ```
//! use wire::signature::{Signed, SigningKeys, TOLERANCE, VerifyingKeys};
//!
//! let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
//! let (id, body, now) = ("msg_1", br#"{"n":1}"#, 1_614_265_330);
//! let header = SigningKeys::parse(secret)?.sign(id, now, body);
//!
//! let signed = Signed::read(id, "1614265330", &header, now + 20, TOLERANCE)?;
//! VerifyingKeys::parse(secret)?.verify(&signed, body)?;
//! assert!(VerifyingKeys::parse(secret)?.verify(&signed, br#"{"n":2}"#).is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod key;
mod sign;
mod verify;

pub use key::{HMAC_KEY_PREFIX, KEYS_MAX, KeyError, PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX, hmac_key};
#[cfg(feature = "ed25519")]
pub use key::{KeyPair, key_pair};
pub use sign::SigningKeys;
pub use verify::{SIGNATURES_MAX, SignatureError, Signed, TOLERANCE, VerifyingKeys};

/// The scheme's name in the header: HMAC-SHA256.
const HMAC: &str = "v1";
/// The scheme's name in the header: Ed25519.
#[cfg(feature = "ed25519")]
const ED25519: &str = "v1a";

#[cfg(test)]
mod tests;
