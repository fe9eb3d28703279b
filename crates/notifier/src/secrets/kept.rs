//! Refreshes secrets: after an interval, and after a receiver has refused one.
//!
//! There is no background task: the first user of a secret that is due reads it again. So it works in a process that is
//! frozen between two uses, as in Lambda, and an idle process makes no requests.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::reference::SecretRef;
use super::vault::{Material, SecretError, Unusable, Vault, list};
use crate::base::text;

/// Refresh interval of a file, which is cheap to read.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait after a failed refresh.
const FAILED_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// The shortest time between two refreshes because of refused requests.
const DOUBT_INTERVAL: Duration = Duration::from_secs(5);

/// Makes a value of the secrets of the references, in their order.
type Make<T> = fn(&[Material]) -> Result<T, Unusable>;

/// A value made of secrets, refreshed in time. Clones share it.
pub struct Kept<T>(Arc<Inner<T>>);

struct Inner<T> {
    vault: Vault,
    references: Vec<SecretRef>,
    make: Make<T>,
    /// `None` if it cannot change.
    interval: Option<Duration>,
    state: RwLock<State<T>>,
    /// Locked during a refresh.
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
    /// Failed refreshes since the last success.
    failures: u32,
}

/// A value and its generation.
#[derive(Debug)]
pub struct Current<T> {
    /// The value made of the secrets.
    pub value: Arc<T>,
    /// Increases with each change.
    pub generation: u64,
}

impl<T> Kept<T> {
    /// Reads the secrets for the first time. Secrets in AWS are refreshed after `interval`, files after a second.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or `make` refuses them. Later, neither is an error: the last value stays in use.
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

    /// The value, refreshed if it is due.
    ///
    /// While one caller reads, the others use the last value, unless it is older than twice the interval: so no stale
    /// secret is used after a long pause.
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
        // Another caller may have refreshed it.
        if Instant::now() >= inner.state().due {
            inner.read_again(interval).await;
        }
        drop(turn);
        inner.peek()
    }

    /// A newer value than this generation, after a receiver has refused it: so a rotated secret is read at once. Reads at
    /// most once in 5 s for all callers together.
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
    /// Reads the secrets again, with the lock held.
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
                    info!("Secret has changed: {}", list(&self.references));
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
        // An outage may last for hours: each doubling is logged, not each failure.
        if state.failures.is_power_of_two() {
            let failures = state.failures;
            let error = text::chain(&error);
            warn!(failures, "Cannot refresh a secret; its last value stays in use: {error}");
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
