//! Secrets: set by reference, refreshed in time, and never shown.
//!
//! | file | what it does |
//! | --- | --- |
//! | `reference` | references to secrets, as in settings (pure) |
//! | `vault` | reads the secret of a reference |
//! | `kept` | refreshes secrets |
//! | `keys` | parses signing keys (pure) |
//!
//! Secrets are stored in `secrecy`'s types, which hide them in `Debug` and overwrite them when dropped. No error of this
//! module repeats any part of a secret, not even of a malformed one.
//!
//! ```no_run
//! # async fn example(aws: notifier::aws::Aws, environment: notifier::base::Environment)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use notifier::secrets::{Kept, SecretRef, Vault, signing_keys};
//!
//! let references: Vec<SecretRef> = SecretRef::list("secretsmanager:prod/notifier, file:/run/keys")?;
//! let vault = Vault::new(environment, Some(aws.secrets));
//! let keys = Kept::open(vault, references, std::time::Duration::from_mins(5), signing_keys).await?;
//! let header = keys.current().await.value.sign("dlv_1", 1_795_512_600, b"{}");
//! # Ok(())
//! # }
//! ```

mod kept;
mod keys;
mod reference;
mod vault;

pub use kept::{Current, Kept};
pub use keys::signing_keys;
pub use reference::{REFERENCES_MAX, RefError, SecretRef};
pub use vault::{Material, SECRET_BYTES_MAX, SecretError, Unusable, Vault};
