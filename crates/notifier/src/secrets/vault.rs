//! Reads the secret of a reference, once.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::reference::SecretRef;
use crate::aws::CallError;
use crate::aws::minimal::secrets::{Secrets, Version};
use crate::base::Environment;

/// The longest secret, as in Secrets Manager. Source: Secrets Manager user guide, quotas.
pub const SECRET_BYTES_MAX: usize = 65_536;
/// Time limit of one read, including throttles of AWS.
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// The versions of a secret, newest first. There is at least one.
#[derive(Debug)]
pub struct Material(Vec<SecretString>);

/// Why a secret is not valid. Must not repeat any part of it.
pub type Unusable = Box<dyn std::error::Error + Send + Sync>;

/// Why a secret cannot be used. Has the reference, but no part of the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum SecretError {
    #[error("{0}: the variable is not set, or empty")]
    NotSet(SecretRef),
    #[error("{0}: the file cannot be read")]
    File(SecretRef, #[source] io::Error),
    #[error("{0}: it is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong(SecretRef),
    #[error("{0}: it is empty")]
    Empty(SecretRef),
    #[error("{0}: AWS did not return it")]
    Aws(SecretRef, #[source] CallError),
    #[error("{0}: it could not be read within {READ_TIME_MAX:?}")]
    TimedOut(SecretRef),
    #[error("{0}: this command does not read secrets from AWS")]
    NoAws(SecretRef),
    #[error("{}: it cannot be used", list(.0))]
    Unusable(Vec<SecretRef>, #[source] Unusable),
}

impl SecretError {
    /// Whether a retry may succeed without a repair.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Aws(_, CallError::Call(error)) => !error.is_refusal(),
            Self::TimedOut(_) => true,
            _ => false,
        }
    }
}

pub(super) fn list(references: &[SecretRef]) -> String {
    references.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Reads secrets. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Vault {
    environment: Environment,
    aws: Option<Secrets>,
}

impl Vault {
    /// Reads variables of this environment, files, and secrets from AWS if a client is given.
    pub fn new(environment: Environment, aws: Option<Secrets>) -> Self {
        Self { environment, aws }
    }

    /// Reads the secret; from Secrets Manager, both the current and the previous version.
    pub async fn read(&self, reference: &SecretRef) -> Result<Material, SecretError> {
        let texts = timeout(READ_TIME_MAX, self.texts(reference))
            .await
            .map_err(|_| SecretError::TimedOut(reference.clone()))??;
        for text in &texts {
            if text.expose_secret().len() > SECRET_BYTES_MAX {
                return Err(SecretError::TooLong(reference.clone()));
            }
        }
        match texts.first() {
            Some(text) if !text.expose_secret().trim().is_empty() => Ok(Material(texts)),
            _ => Err(SecretError::Empty(reference.clone())),
        }
    }

    async fn texts(&self, reference: &SecretRef) -> Result<Vec<SecretString>, SecretError> {
        let aws = || self.aws.as_ref().ok_or_else(|| SecretError::NoAws(reference.clone()));
        let refused = |error| SecretError::Aws(reference.clone(), error);
        match reference {
            SecretRef::Env(name) => {
                let text = self.environment.get(name);
                let text = text.ok_or_else(|| SecretError::NotSet(reference.clone()))?;
                Ok(vec![SecretString::from(text)])
            }
            SecretRef::File(path) => {
                let path = path.clone();
                let read = spawn_blocking(move || file(&path)).await.map_err(io::Error::other).flatten();
                Ok(vec![read.map_err(|error| SecretError::File(reference.clone(), error))?])
            }
            SecretRef::SecretsManager(id) => {
                let aws = aws()?;
                let (current, previous) =
                    tokio::join!(aws.secret(id, Version::Current), aws.secret(id, Version::Previous));
                Ok([current.map_err(refused)?, previous.map_err(refused)?].into_iter().flatten().collect())
            }
            SecretRef::Ssm(name) => Ok(vec![aws()?.parameter(name).await.map_err(refused)?]),
        }
    }
}

/// A file's text.
fn file(path: &Path) -> io::Result<SecretString> {
    // Full capacity, so that a reallocation does not leave a copy in memory.
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX + 1));
    // One byte more than allowed, to detect a text that is too long.
    std::fs::File::open(path)?.take(SECRET_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(SecretString::from(text.as_str()))
}

impl Material {
    /// The newest version's text.
    pub fn newest(&self) -> &str {
        self.0.first().map(ExposeSecret::expose_secret).unwrap_or_default()
    }

    /// The text of every version, the newest first.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ExposeSecret::expose_secret)
    }

    /// Material of one version with this text.
    pub fn of(text: &str) -> Self {
        Self(vec![SecretString::from(text)])
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        self.versions().eq(other.versions())
    }
}
