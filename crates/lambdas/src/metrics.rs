//! The metrics of a function, written to its log once for each invocation.

use std::io::{self, Write as _};

use notifier::aws::calls::{Calls, Results};
use notifier::base::Clock;
use notifier::ledger::{Ledger, LedgerWrites};
use notifier::telemetry::emf::{Emf, Invocation};
use notifier::telemetry::{Metrics, Tally};

/// Counts what the invocations of one process do.
#[derive(Debug)]
pub struct Reporter {
    /// Namespace and dimensions.
    pub emf: Emf,
    /// Counts the progress events.
    pub metrics: Metrics,
    /// Requests to AWS.
    pub calls: Calls,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock, for the time of the lines.
    pub clock: Clock,
    /// What was reported before.
    pub before: Before,
}

/// What earlier invocations of the process reported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    is_warm: bool,
    calls: Results,
    writes: LedgerWrites,
}

/// An empty tally for an invocation.
pub fn tally() -> Tally {
    Tally::new(false).with_samples()
}

impl Reporter {
    /// Nothing was counted yet.
    pub fn new(emf: Emf, calls: Calls, ledger: Ledger) -> Self {
        let (metrics, clock) = (Metrics::new(tally()), Clock::system());
        Self { emf, metrics, calls, ledger, clock, before: Before::default() }
    }

    /// The lines for an invocation that has just ended: one, and before it one for the start of the process.
    pub fn lines(&mut self) -> Vec<String> {
        let unix_millis =
            i64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let (calls, writes) = (self.calls.results(), self.ledger.writes());
        let before = std::mem::replace(&mut self.before, Before { is_warm: true, calls, writes });
        let invocation = Invocation {
            tally: self.metrics.replace(tally()),
            calls: calls.since(before.calls),
            writes: writes.since(before.writes),
        };
        let mut lines = self.emf.invocation(&invocation, unix_millis);
        if !before.is_warm {
            lines.insert(0, self.emf.cold_start(unix_millis));
        }
        lines
    }

    /// Writes these lines to the log.
    pub fn write(&mut self) {
        let text = self.lines().join("\n");
        // A log that cannot be written must not fail the messages.
        if let Err(error) = writeln!(io::stdout().lock(), "{text}") {
            tracing::warn!(%error, "The metrics could not be written");
        }
    }
}
