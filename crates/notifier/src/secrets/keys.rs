//! Parses signing keys. Pure.

use wire::signature::{KeyError, SigningKeys};
use zeroize::Zeroizing;

use super::vault::{Material, Unusable};

/// The keys in these texts, the newest versions first; each request is signed by all of them.
///
/// The newest version of each must be valid keys. An older version that is not valid is ignored: it is often a
/// placeholder from before the first key.
///
/// # Errors
///
/// The first text that is not valid, with the position of the wrong key.
pub fn signing_keys(secrets: &[Material]) -> Result<SigningKeys, Unusable> {
    let mut texts: Vec<&str> = Vec::new();
    for secret in secrets {
        SigningKeys::parse(secret.newest())?;
        texts.push(secret.newest());
    }
    let older = secrets.iter().flat_map(|secret| secret.versions().skip(1));
    texts.extend(older.filter(|text| SigningKeys::parse(text).is_ok()));
    Ok(joined(&texts)?)
}

/// All keys of these texts, each once.
fn joined(texts: &[&str]) -> Result<SigningKeys, KeyError> {
    let mut keys: Vec<&str> = Vec::new();
    for key in texts.iter().flat_map(|text| text.split([' ', '\t', '\r', '\n', ','])) {
        if !key.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    // Full capacity, so that a reallocation does not leave a copy in memory.
    let room = keys.iter().map(|key| key.len() + 1).sum();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for key in keys {
        text.push_str(key);
        text.push(' ');
    }
    SigningKeys::parse(&text)
}
