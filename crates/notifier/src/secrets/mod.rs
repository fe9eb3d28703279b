//! Secrets: named by reference, kept up to date, and never shown.
//!
//! | file | what it does |
//! | --- | --- |
//! | `reference` | where a secret is, as settings say it: never the secret itself (pure) |
//! | `vault` | reads what a reference names |
//! | `kept` | keeps what was read up to date |
//! | `keys` | texts into keys that sign (pure) |
//!
//! Texts of secrets live in `secrecy`'s types, which have nothing to show in `Debug` and are overwritten when dropped. No
//! error of this module repeats any of one, not even of a text that is malformed.
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
