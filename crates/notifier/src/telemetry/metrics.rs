//! The metrics of this process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::depths::QueueDepths;
use super::families::{self, Others};
use super::prometheus;
use super::registry::RegistryGauges;
use super::tally::Tally;
use crate::aws::budget::Budget;
use crate::aws::calls::Calls;
use crate::base::spans::Spans;
use crate::ledger::Ledger;
use crate::model::{Outcome, Progress};

/// For this long a text answers further requests, so that many scrapers cost as much as one.
const TEXT_BELIEVED: Duration = Duration::from_millis(500);

/// The parts of a process that count for themselves.
#[derive(Clone, Debug, Default)]
pub struct MetricsSources {
    /// Requests to AWS.
    pub calls: Calls,
    /// The budget of these requests.
    pub budget: Budget,
    /// The ledger.
    pub ledger: Ledger,
    /// The registry of tasks.
    pub registry: Option<RegistryGauges>,
    /// The progress events, of which slow listeners miss some.
    pub progress: Progress,
    /// The spans, of which a slow collector misses some.
    pub spans: Spans,
    /// The queues.
    pub depths: Option<QueueDepths>,
}

/// Counts the progress events of a process. Clones share the counts.
#[derive(Clone)]
pub struct Metrics(Arc<Shared>);

struct Shared {
    tally: Mutex<Tally>,
    text: Mutex<Option<(Instant, Bytes)>>,
}

impl Metrics {
    /// Counts what is noted in this tally.
    pub fn new(tally: Tally) -> Self {
        Self(Arc::new(Shared { tally: Mutex::new(tally), text: Mutex::default() }))
    }

    /// These events, counted.
    pub fn of(&self, progress: Progress) -> Progress {
        let metrics = self.clone();
        progress.observed_by(move |event| metrics.tally().note(event, Instant::now()))
    }

    /// The media type of [`text`](Self::text).
    pub const CONTENT_TYPE: &'static str = prometheus::CONTENT_TYPE;

    /// All metrics in the text format of Prometheus. Must be called within a tokio runtime.
    pub fn text(&self, sources: &MetricsSources) -> Bytes {
        let mut known = self.0.text.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((at, text)) if at.elapsed() < TEXT_BELIEVED => text.clone(),
            _ => {
                let text = Bytes::from(self.new_text(sources));
                *known = Some((Instant::now(), text.clone()));
                text
            }
        }
    }

    fn new_text(&self, sources: &MetricsSources) -> String {
        let MetricsSources { calls, budget, ledger, registry, progress, spans, depths } = sources;
        let others = Others {
            calls: calls.snapshot(),
            waits: budget.waits(),
            waiting: budget.waiting(),
            writes: ledger.writes(),
            registry: registry.as_ref().map(RegistryGauges::known).unwrap_or_default(),
            missed: [("log", progress.missed()), ("collector", spans.dropped())],
            depths: depths.as_ref().map(QueueDepths::known).unwrap_or_default(),
        };
        families::text(&self.tally(), &others)
    }

    /// The deliveries so far, by outcome.
    pub fn outcomes(&self) -> [(Outcome, u64); Outcome::ALL.len()] {
        let tally = self.tally();
        Outcome::ALL.map(|outcome| (outcome, tally.with_outcome(outcome)))
    }

    /// What was counted until now; counting begins again with `next`.
    pub fn replace(&self, next: Tally) -> Tally {
        std::mem::replace(&mut *self.tally(), next)
    }

    /// A panic leaves no half-made change that matters.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
