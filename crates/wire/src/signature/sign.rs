//! Signing: the keys of the sender.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

#[cfg(feature = "ed25519")]
use super::ED25519;
use super::HMAC;
use super::key::{Key, KeyError, read, split};
use super::verify::{Verifier, VerifyingKeys};

/// The keys of a sender. Each request has one signature of each key.
#[derive(Clone)]
pub struct SigningKeys(Vec<Signer>);

#[derive(Clone)]
enum Signer {
    Hmac(Box<Hmac<Sha256>>),
    #[cfg(feature = "ed25519")]
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl SigningKeys {
    /// Reads keys, `whsec_…` or `whsk_…`, separated by white space or commas.
    ///
    /// # Errors
    ///
    /// Returns the first invalid key, by its position.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let signer = |(position, text)| match read(position, text, "`whsec_` or `whsk_`")? {
            Key::Hmac(mac) => Ok(Signer::Hmac(mac)),
            #[cfg(feature = "ed25519")]
            Key::Private(key) => Ok(Signer::Ed25519(key)),
            #[cfg(feature = "ed25519")]
            Key::Public(_) => Err(KeyError::Public { position }),
        };
        split(text)?.map(signer).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the header `webhook-signature` for a request with this id, timestamp and body.
    ///
    /// The timestamp is the time of the attempt, in whole seconds since 1970-01-01 UTC. The id must not contain a full
    /// stop, because a full stop ends the id in the signed text. A [`DeliveryId`](crate::DeliveryId) never contains one.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let mut header = String::new();
        for signer in &self.0 {
            if !header.is_empty() {
                header.push(' ');
            }
            match signer {
                Signer::Hmac(mac) => {
                    let mac = Mac::chain_update(Mac::chain_update((**mac).clone(), &head), body);
                    push(&mut header, HMAC, &mac.finalize().into_bytes());
                }
                #[cfg(feature = "ed25519")]
                Signer::Ed25519(key) => {
                    use ed25519_dalek::Signer as _;
                    let signature = key.sign(&[head.as_bytes(), body].concat());
                    push(&mut header, ED25519, &signature.to_bytes());
                }
            }
        }
        header
    }

    /// Returns the keys that verify the signatures of these keys.
    #[must_use]
    pub fn verifying_keys(&self) -> VerifyingKeys {
        let verifier = |signer: &Signer| match signer {
            Signer::Hmac(mac) => Verifier::Hmac(mac.clone()),
            #[cfg(feature = "ed25519")]
            Signer::Ed25519(key) => Verifier::Ed25519(Box::new(key.verifying_key())),
        };
        VerifyingKeys(self.0.iter().map(verifier).collect())
    }
}

impl FromStr for SigningKeys {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

fn push(header: &mut String, scheme: &str, signature: &[u8]) {
    header.push_str(scheme);
    header.push(',');
    BASE64_STANDARD.encode_string(signature, header);
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = self.0.iter().map(|signer| match signer {
            Signer::Hmac(_) => HMAC,
            #[cfg(feature = "ed25519")]
            Signer::Ed25519(_) => ED25519,
        });
        f.write_str("SigningKeys")?;
        f.debug_list().entries(schemes).finish()
    }
}
