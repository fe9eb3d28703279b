//! Whether the registry may be used instead of a discovery. Pure.
//!
//! The contract: a cluster is *live* if its last successful sweep began less than two intervals ago, and the queue of
//! events is not behind by a minute. Then the registry has every running task except those whose event is on its way, or was
//! lost since that sweep.

use std::time::Duration;

use super::state::ClusterSweep;

/// How far the events may be behind.
pub const LAG_MAX: Duration = Duration::from_secs(60);
/// The intervals between sweeps after which the last one is too old.
const INTERVALS_MAX: u32 = 2;

/// Whether the registry knows the running tasks of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It does.
    Live {
        /// Time since the events were last known to be processed.
        age: Duration,
    },
    /// It may not.
    NotLive {
        /// Why.
        reason: NotLive,
    },
}

/// Why the registry may not know the running tasks of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLive {
    /// No sweep has ended yet, or the cluster is not in the setting.
    #[error("the cluster has not been swept")]
    NeverSwept,
    /// Sweeps fail, or nobody makes them.
    #[error("the last sweep began {} s ago", .ago.as_secs())]
    SweptLongAgo {
        /// Time since the last successful sweep began.
        ago: Duration,
    },
    /// The queue has messages, and the newest that was processed is old.
    #[error("the events are {} s behind", .lag.as_secs())]
    Behind {
        /// The age of the events.
        lag: Duration,
    },
    /// The queue has messages, and none was processed yet.
    #[error("no event has been processed")]
    NoEvents,
    /// The table does not answer.
    #[error("its table does not answer: {0}")]
    Store(String),
}

/// What is known about the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Messages on the queue and in flight; `None` if SQS does not answer.
    pub waiting: Option<u64>,
    /// The latest moment, in milliseconds since 1970, whose events are known to be processed.
    pub processed: Option<u64>,
}

/// Decides at `now`, in milliseconds since 1970.
pub fn freshness(now: u64, interval: Duration, sweep: Option<&ClusterSweep>, events: Events) -> Freshness {
    let not_live = |reason| Freshness::NotLive { reason };
    let since = |then: u64| Duration::from_millis(now.saturating_sub(then));
    let Some(sweep) = sweep else { return not_live(NotLive::NeverSwept) };
    let ago = since(sweep.began);
    if ago >= interval * INTERVALS_MAX {
        return not_live(NotLive::SweptLongAgo { ago });
    }
    if events.waiting == Some(0) {
        return Freshness::Live { age: Duration::ZERO };
    }
    let Some(processed) = events.processed else { return not_live(NotLive::NoEvents) };
    let lag = since(processed);
    if lag < LAG_MAX { Freshness::Live { age: lag } } else { not_live(NotLive::Behind { lag }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(600);
    const NOW: u64 = 1_795_600_000_000;

    fn at(began: Option<u64>, waiting: Option<u64>, processed: Option<u64>) -> String {
        let sweep = began.map(|ago| ClusterSweep { began: NOW - ago * 1_000, ..ClusterSweep::default() });
        let processed = processed.map(|ago| NOW - ago * 1_000);
        match freshness(NOW, INTERVAL, sweep.as_ref(), Events { waiting, processed }) {
            Freshness::Live { age } => format!("live, {} s", age.as_secs()),
            Freshness::NotLive { reason } => reason.to_string(),
        }
    }

    #[test]
    fn a_cluster_is_live_after_a_recent_sweep_if_the_events_are_not_behind() {
        assert_eq!(at(None, Some(0), Some(0)), "the cluster has not been swept");
        assert_eq!(at(Some(1_199), Some(0), None), "live, 0 s");
        assert_eq!(at(Some(1_200), Some(0), Some(0)), "the last sweep began 1200 s ago");
        assert_eq!(at(Some(1), Some(0), Some(900)), "live, 0 s");
        assert_eq!(at(Some(1), Some(3), Some(59)), "live, 59 s");
        assert_eq!(at(Some(1), Some(3), Some(60)), "the events are 60 s behind");
        assert_eq!(at(Some(1), None, Some(5)), "live, 5 s");
        assert_eq!(at(Some(1), None, None), "no event has been processed");
    }

    #[test]
    fn times_of_another_clock_that_are_later_than_now_count_as_now() {
        let sweep = ClusterSweep { began: NOW + 5_000, ..ClusterSweep::default() };
        let events = Events { waiting: None, processed: Some(NOW + 9_000) };
        let live = Freshness::Live { age: Duration::ZERO };
        assert_eq!(freshness(NOW, INTERVAL, Some(&sweep), events), live);
    }
}
