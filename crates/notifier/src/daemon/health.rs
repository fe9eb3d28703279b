//! Whether the workers are alive and their queues answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::pipeline::StageName;

/// A worker without a heartbeat for this long counts as dead. Its longest step is a receive: 20 seconds of waiting for
/// messages and 20 of waiting for an answer.
pub const ALIVE_WITHIN: Duration = Duration::from_mins(1);

/// The health of the daemon, shared by workers and health endpoints. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    stages: BTreeMap<StageName, Seen>,
}

/// The last heartbeat of one stage.
#[derive(Debug)]
struct Seen {
    queue: String,
    alive: Instant,
    busy: bool,
    answered: Option<Instant>,
    error: Option<String>,
}

/// The health of the daemon at one moment; its JSON is the body of `/healthz` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// Every worker had a heartbeat within [`ALIVE_WITHIN`].
    pub live: bool,
    /// Every queue answered its last call, and recently; and the daemon is not stopping.
    pub ready: bool,
    /// Shutdown was requested.
    pub stopping: bool,
    /// Each running stage.
    pub stages: Vec<StageHealth>,
}

/// The health of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageHealth {
    /// `services`, `tasks` or `notify`.
    pub stage: &'static str,
    /// Name of the queue that it reads.
    pub queue: String,
    /// Its worker is alive.
    pub live: bool,
    /// Its queue answers.
    pub ready: bool,
    /// The maximum number of messages is in flight, so none are received.
    pub busy: bool,
    /// Whole seconds since the queue last answered; absent if it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_seconds_ago: Option<u64>,
    /// Why the queue did not answer the last call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Health {
    /// The health now.
    pub fn report(&self) -> HealthReport {
        self.report_at(Instant::now())
    }

    fn report_at(&self, now: Instant) -> HealthReport {
        let state = self.state();
        let stages: Vec<_> = state.stages.iter().map(|(stage, seen)| seen.report(*stage, now)).collect();
        HealthReport {
            live: stages.iter().all(|stage| stage.live),
            ready: !state.stopping && !stages.is_empty() && stages.iter().all(|stage| stage.ready),
            stopping: state.stopping,
            stages,
        }
    }

    /// A worker has started; its queue has not answered yet.
    pub(super) fn started(&self, stage: StageName, queue: &str) {
        let seen =
            Seen { queue: queue.to_owned(), alive: Instant::now(), busy: false, answered: None, error: None };
        self.state().stages.insert(stage, seen);
    }

    /// A heartbeat, with whether the worker is busy.
    pub(super) fn alive(&self, stage: StageName, busy: bool) {
        self.see(stage, |seen, _| seen.busy = busy);
    }

    /// A queue has answered.
    pub(super) fn answered(&self, stage: StageName) {
        self.see(stage, |seen, now| (seen.answered, seen.error) = (Some(now), None));
    }

    /// A queue has not answered.
    pub(super) fn failed(&self, stage: StageName, error: String) {
        self.see(stage, |seen, _| seen.error = Some(error));
    }

    /// Shutdown was requested.
    pub(super) fn stopping(&self) {
        self.state().stopping = true;
    }

    fn see(&self, stage: StageName, change: impl FnOnce(&mut Seen, Instant)) {
        let now = Instant::now();
        if let Some(seen) = self.state().stages.get_mut(&stage) {
            seen.alive = now;
            change(seen, now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn report(&self, stage: StageName, now: Instant) -> StageHealth {
        let age = |then: Instant| now.saturating_duration_since(then);
        let lately = |then| self.busy || age(then) <= ALIVE_WITHIN;
        let live = age(self.alive) <= ALIVE_WITHIN;
        StageHealth {
            stage: stage.as_str(),
            queue: self.queue.clone(),
            live,
            ready: live && self.error.is_none() && self.answered.is_some_and(lately),
            busy: self.busy,
            answered_seconds_ago: self.answered.map(|then| age(then).as_secs()),
            error: self.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(health: &Health, later: Duration) -> (bool, bool) {
        let report = health.report_at(Instant::now() + later);
        (report.live, report.ready)
    }

    const NOW: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(61);

    #[tokio::test]
    async fn ready_means_that_every_queue_has_answered() {
        let health = Health::default();
        assert_eq!(is(&health, NOW), (true, false), "nothing runs yet");
        health.started(StageName::Services, "a");
        health.started(StageName::Tasks, "b");
        health.answered(StageName::Services);
        assert_eq!(is(&health, NOW), (true, false));
        health.answered(StageName::Tasks);
        assert_eq!(is(&health, NOW), (true, true));
        health.failed(StageName::Tasks, "no connection".to_owned());
        assert_eq!(is(&health, NOW), (true, false));
        health.answered(StageName::Tasks);
        assert_eq!(is(&health, NOW), (true, true));
        health.stopping();
        assert_eq!(is(&health, NOW), (true, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_without_a_sign_of_life_is_dead_and_a_busy_one_is_not() {
        let health = Health::default();
        health.started(StageName::Notify, "c");
        health.answered(StageName::Notify);
        assert_eq!(is(&health, LATER), (false, false));
        tokio::time::advance(LATER).await;
        health.alive(StageName::Notify, true);
        assert_eq!(is(&health, NOW), (true, true), "its hands are full, so it receives nothing");
        health.alive(StageName::Notify, false);
        assert_eq!(is(&health, NOW), (true, false), "it receives, but SQS has not answered for long");
    }

    #[tokio::test]
    async fn the_report_says_which_queue_is_at_fault() {
        let health = Health::default();
        health.started(StageName::Services, "observer");
        health.failed(StageName::Services, "no connection".to_owned());
        let json = serde_json::to_value(health.report()).unwrap();
        let stage = serde_json::json!({
            "stage": "services", "queue": "observer", "live": true, "ready": false, "busy": false, "error": "no connection",
        });
        assert_eq!(
            json,
            serde_json::json!({"live": true, "ready": false, "stopping": false, "stages": [stage]})
        );
    }
}
