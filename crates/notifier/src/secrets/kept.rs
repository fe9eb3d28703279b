//! Keeps what was read up to date: reads again after an interval, and when a receiver says that it does not fit.
//!
//! There is no task in the background: whoever uses a secret when it is due reads it again, one at a time. So it works
//! where a process is frozen between two uses, as Lambda freezes it, and a process without work asks nobody.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::reference::SecretRef;
use super::vault::{Material, SecretError, Unusable, Vault, list};
use crate::base::text;

/// How often a file is read again, at most: it costs next to nothing.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait after a reading that failed.
const FAILED_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// The least time between two readings that receivers cause.
const DOUBT_INTERVAL: Duration = Duration::from_secs(5);

/// What is made of the secrets that the references name, in their order.
type Make<T> = fn(&[Material]) -> Result<T, Unusable>;

/// Something made of secrets, kept up to date. Clones share it.
pub struct Kept<T>(Arc<Inner<T>>);

struct Inner<T> {
    vault: Vault,
    references: Vec<SecretRef>,
    make: Make<T>,
    /// `None` when nothing of it can change.
    interval: Option<Duration>,
    state: RwLock<State<T>>,
    /// Held by whoever reads.
    turn: Mutex<()>,
}

struct State<T> {
    value: Arc<T>,
    generation: u64,
    materials: Vec<Material>,
    /// When it was last read.
    read: Instant,
    /// When it should be read again.
    due: Instant,
    /// Readings that failed since the last that did not.
    failures: u32,
}

/// A value, and how to tell it from a later one.
#[derive(Debug)]
pub struct Current<T> {
    /// What was made of the secrets.
    pub value: Arc<T>,
    /// Grows with each change.
    pub generation: u64,
}

impl<T> Kept<T> {
    /// Reads the secrets for the first time. What is in AWS is read again after `interval`, files after a second.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or `make` refuses them. Later, neither is an error: the last known value stays in use.
    pub async fn open(
        vault: Vault,
        references: Vec<SecretRef>,
        interval: Duration,
        make: Make<T>,
    ) -> Result<Self, SecretError> {
        let materials = read(&vault, &references).await?;
        let value = make(&materials).map_err(|error| SecretError::Unusable(references.clone(), error))?;
        let intervals = references.iter().filter_map(|reference| match reference {
            SecretRef::Env(_) => None,
            SecretRef::File(_) => Some(FILE_INTERVAL),
            SecretRef::SecretsManager(_) | SecretRef::Ssm(_) => Some(interval),
        });
        let interval = intervals.min();
        let now = Instant::now();
        let state = State {
            value: Arc::new(value),
            generation: 1,
            materials,
            read: now,
            due: now + interval.unwrap_or_default(),
            failures: 0,
        };
        let (state, turn) = (RwLock::new(state), Mutex::new(()));
        Ok(Self(Arc::new(Inner { vault, references, make, interval, state, turn })))
    }

    /// The value, read again when that is due.
    ///
    /// While one caller reads, the others go on with what they have, unless that is older than twice the interval: after
    /// a long pause, nobody uses a secret that may have been replaced.
    pub async fn current(&self) -> Current<T> {
        let inner = &*self.0;
        let Some(interval) = inner.interval else { return inner.peek() };
        let due = inner.state().due;
        if Instant::now() < due {
            return inner.peek();
        }
        let turn = if Instant::now() < due + interval {
            let Ok(turn) = inner.turn.try_lock() else { return inner.peek() };
            turn
        } else {
            inner.turn.lock().await
        };
        // Whoever had the turn before may have read it.
        if Instant::now() >= inner.state().due {
            inner.read_again(interval).await;
        }
        drop(turn);
        inner.peek()
    }

    /// A newer value than the one of this generation, for when a receiver says that it does not fit: a secret that was
    /// rotated just now is read at once. Reads at most once in 5 s, whoever asks and however often.
    pub async fn newer_than(&self, generation: u64) -> Option<Current<T>> {
        let inner = &*self.0;
        let interval = inner.interval?;
        let newer = || Some(inner.peek()).filter(|current| current.generation > generation);
        if let Some(current) = newer() {
            return Some(current);
        }
        let turn = inner.turn.lock().await;
        if newer().is_none() && inner.state().read.elapsed() >= DOUBT_INTERVAL.min(interval) {
            inner.read_again(interval).await;
        }
        drop(turn);
        newer()
    }
}

impl<T> Inner<T> {
    /// Reads the secrets again. Called by whoever holds the turn.
    async fn read_again(&self, interval: Duration) {
        let read = read(&self.vault, &self.references).await;
        let now = Instant::now();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.read = now;
        let failed = match read {
            Ok(materials) if materials == state.materials => None,
            Ok(materials) => match (self.make)(&materials) {
                Ok(value) => {
                    state.value = Arc::new(value);
                    state.generation += 1;
                    state.materials = materials;
                    info!("Read again, and changed: {}", list(&self.references));
                    None
                }
                Err(error) => Some(SecretError::Unusable(self.references.clone(), error)),
            },
            Err(error) => Some(error),
        };
        let Some(error) = failed else {
            state.failures = 0;
            state.due = now + interval;
            return;
        };
        state.failures = state.failures.saturating_add(1);
        state.due = now + interval.min(FAILED_INTERVAL_MAX);
        // An outage may last for hours: each doubling is told, not each failure.
        if state.failures.is_power_of_two() {
            let failures = state.failures;
            let error = text::chain(&error);
            warn!(failures, "Cannot read a secret again, its last known value stays in use: {error}");
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn peek(&self) -> Current<T> {
        let state = self.state();
        Current { value: Arc::clone(&state.value), generation: state.generation }
    }
}

async fn read(vault: &Vault, references: &[SecretRef]) -> Result<Vec<Material>, SecretError> {
    let mut materials = Vec::with_capacity(references.len());
    for reference in references {
        materials.push(vault.read(reference).await?);
    }
    Ok(materials)
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", list(&self.0.references))
    }
}
