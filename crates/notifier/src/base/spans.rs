//! Finished spans on their way to whoever records them, and which of them are worth it.
//!
//! Every failure is kept, and of the rest one trace in so many: a broadcast to 100,000 tasks has 100,000 spans. Nobody
//! records by default: then no span is made, and the check for it is all that it costs.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use super::trace::{SpanId, TraceContext};

/// Spans under way of which a span below failed.
const PARENTS_MAX: usize = 4_096;

/// The part that a span has in a call or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work of its own.
    Internal,
    /// A request to a remote service.
    Client,
    /// The work on a message.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what it is")]
pub enum SpanValue {
    Text(String),
    Number(i64),
}

impl From<&str> for SpanValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its trace, and its own id.
    pub context: TraceContext,
    /// The span above; `None` at the root of a trace.
    pub parent: Option<SpanId>,
    /// Whether the span above belongs to another process.
    pub is_parent_remote: bool,
    /// Spans that it follows from besides its parent.
    pub links: Vec<TraceContext>,
    /// What it is, with few different values.
    pub name: String,
    /// Its part in a call or a message.
    pub kind: SpanKind,
    /// When it began.
    pub started: OffsetDateTime,
    /// How long it took.
    pub took: Duration,
    /// By the names of the semantic conventions.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Why it failed; an empty text if its attributes say so.
    pub failure: Option<String>,
}

/// Where finished spans go. Clones share it. The default drops them.
#[derive(Clone, Default)]
pub struct Spans(Option<Arc<Recorder>>);

struct Recorder {
    /// Never waits; returns whether it took the span.
    record: Box<dyn Fn(Span) -> bool + Send + Sync>,
    /// Of traces without a failure, one in this many is kept.
    one_in: u32,
    /// Spans under way of which a span below failed.
    failed_below: Mutex<HashSet<SpanId>>,
    dropped: AtomicU64,
}

impl Spans {
    /// Hands spans to `record`, which must be fast and never wait; it returns whether it took the span. Of the traces
    /// without a failure, one in `one_in` is kept.
    pub fn to(one_in: u32, record: impl Fn(Span) -> bool + Send + Sync + 'static) -> Self {
        let (failed_below, dropped) = (Mutex::default(), AtomicU64::new(0));
        Self(Some(Arc::new(Recorder { record: Box::new(record), one_in, failed_below, dropped })))
    }

    /// Whether anybody records spans.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Number of spans that were worth keeping and were not taken.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |recorder| recorder.dropped.load(Ordering::Relaxed))
    }

    /// The context with the decision about sampling, if nobody has made it: that of this recorder.
    #[must_use]
    pub fn decide(&self, context: TraceContext) -> TraceContext {
        let own = self.0.as_ref().map(|recorder| context.trace.is_one_in(recorder.one_in));
        TraceContext { sampled: context.sampled.or(own), ..context }
    }

    /// Records the span of this context, which has just ended, if it is worth it; `make` is called only then. `above` is
    /// the span above it, if that is one of this process: it is kept too if this one failed.
    pub fn end(
        &self,
        context: TraceContext,
        above: Option<SpanId>,
        is_failed: bool,
        make: impl FnOnce() -> Span,
    ) {
        let Some(recorder) = &self.0 else { return };
        if recorder.keeps(context, above, is_failed) && !(recorder.record)(make()) {
            recorder.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Recorder {
    /// Keeps failures, the spans above them, and a share of the traces.
    fn keeps(&self, context: TraceContext, above: Option<SpanId>, is_failed: bool) -> bool {
        if context.trace.is_one_in(self.one_in) {
            return true;
        }
        let mut below = self.failed_below.lock().unwrap_or_else(PoisonError::into_inner);
        let is_above = context.span.is_some_and(|own| below.remove(&own));
        if is_failed {
            if below.len() >= PARENTS_MAX {
                // Spans that never ended, as those of work that was cut off.
                below.clear();
            }
            below.extend(above);
        }
        is_failed || is_above
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spans").field(&self.is_on()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn span(context: TraceContext) -> Span {
        Span {
            context,
            parent: None,
            is_parent_remote: false,
            links: Vec::new(),
            name: String::new(),
            kind: SpanKind::Internal,
            started: OffsetDateTime::UNIX_EPOCH,
            took: Duration::ZERO,
            attributes: Vec::new(),
            failure: None,
        }
    }

    /// A trace that is not kept by chance.
    fn unlikely(rng: &Rng) -> TraceContext {
        let mut all = std::iter::repeat_with(|| TraceContext::start(1, rng).hop(rng));
        all.find(|context| !context.trace.is_one_in(100)).unwrap()
    }

    #[test]
    fn a_failure_is_kept_with_the_span_above_it_and_other_spans_by_their_trace() {
        let rng = Rng::seeded(1);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&kept);
        let spans = Spans::to(100, move |span| {
            record.lock().unwrap().push(span.context);
            true
        });
        let (above, other) = (unlikely(&rng), unlikely(&rng));
        let (good, bad) = (above.hop(&rng), above.hop(&rng));
        spans.end(good, above.span, false, || unreachable!());
        spans.end(bad, above.span, true, || span(bad));
        spans.end(other, None, false, || unreachable!());
        spans.end(above, None, false, || span(above));
        spans.end(above, None, false, || unreachable!("it is known for one span only"));
        assert_eq!(*kept.lock().unwrap(), [bad, above]);

        let all = Spans::to(1, |_| false);
        all.end(other, None, false, || span(other));
        assert_eq!((all.dropped(), spans.dropped()), (1, 0));
    }

    #[test]
    fn spans_that_never_end_take_a_bounded_place() {
        let rng = Rng::seeded(2);
        let spans = Spans::to(100, |_| true);
        for _ in 0..2 * PARENTS_MAX + 10 {
            let above = unlikely(&rng);
            let below = above.hop(&rng);
            spans.end(below, above.span, true, || span(below));
        }
        let Spans(Some(recorder)) = &spans else { unreachable!() };
        assert!(recorder.failed_below.lock().unwrap().len() <= PARENTS_MAX);
    }

    #[test]
    fn a_decision_is_made_only_where_nobody_made_one_and_somebody_records() {
        let rng = Rng::seeded(3);
        let context = unlikely(&rng);
        let (off, some, all) = (Spans::default(), Spans::to(100, |_| true), Spans::to(1, |_| true));
        assert_eq!(
            [&off, &some, &all].map(|spans| spans.decide(context).sampled),
            [None, Some(false), Some(true)]
        );
        let decided = TraceContext { sampled: Some(false), ..context };
        assert_eq!(all.decide(decided), decided);
        off.end(context, None, true, || unreachable!("nobody records"));
        assert!(!off.is_on() && all.is_on());
    }
}
