//! Why a message failed, and whether to retry it.

use std::any::Any;
use std::time::Duration;

use super::StageError;
use crate::base::Backoff;
use crate::base::text::{chain, panic_text};
use crate::queue::PublishError;

/// Waits before a message is delivered again. A task's address is reused within minutes, so retries do not wait longer.
/// With equal jitter and 15 deliveries, a message outlasts a quarter of an hour in which AWS throttles or does not answer.
const RETRY: Backoff = Backoff { first: Duration::from_secs(2), most: Duration::from_mins(5) };

/// The longest wait that a stage may ask for.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// Why a message failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable word for the kind of failure.
    pub code: &'static str,
    /// What went wrong, with its causes.
    pub reason: String,
    /// Whether to retry it.
    pub retry: Retry,
    /// Whether the ledger has the outcome already.
    pub is_recorded: bool,
}

/// Whether a failed message is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It may succeed later, at the earliest after this time, if known.
    Later(Option<Duration>),
}

impl Failure {
    /// The work exceeded its time limit.
    pub fn late(limit: Duration) -> Self {
        let reason = format!("processing the message took longer than {limit:?}");
        Self { code: "time", reason, retry: Retry::Later(None), is_recorded: false }
    }

    /// A panic while the message was processed. The message may be the cause or not, so it is retried as after any
    /// failure, and becomes a dead letter after its last receive.
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic_text(panic);
        let reason = format!("the stage panicked: {text}");
        Self { code: "panic", reason, retry: Retry::Later(None), is_recorded: false }
    }

    /// A stage without a next stage returned messages for one.
    pub fn no_next_queue(bodies: usize) -> Self {
        let reason = format!("{bodies} messages for a next stage, but this stage has none");
        Self { code: "misrouted", reason, retry: Retry::Never, is_recorded: false }
    }

    /// How long the message waits before its next receive, after this number of receives.
    ///
    /// `spread`, from 0.0 to 1.0, is the random part of the wait.
    pub fn wait(&self, receives: u32, spread: f64) -> Duration {
        match self.retry {
            // Jitter, so that messages with the same wait do not come back together.
            Retry::Later(Some(after)) => after.min(RETRY_AFTER_MAX) + RETRY.full_jitter(1, spread),
            Retry::Later(None) => RETRY.equal_jitter(receives, spread),
            Retry::Never => RETRY.most,
        }
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        let retry = match &error {
            StageError::Unfinished(unfinished) => Retry::Later(unfinished.retry_after),
            error if error.is_final() => Retry::Never,
            _ => Retry::Later(None),
        };
        let is_recorded = matches!(error, StageError::NotNotified { .. });
        Self { code: error.code(), reason: chain(&error), retry, is_recorded }
    }
}

impl From<PublishError> for Failure {
    /// A body that SQS never accepts is a final failure of the message; an unavailable queue is not.
    fn from(error: PublishError) -> Self {
        let retry = if error.is_final() { Retry::Never } else { Retry::Later(None) };
        Self { code: "publish", reason: chain(&error), retry, is_recorded: false }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::aws::ecs::EcsError;
    use crate::aws::{AwsError, AwsService};
    use crate::fleet::DiscoveryError;

    fn wait(retry: Retry, receives: u32, spread: f64) -> u64 {
        Failure { code: "x", reason: String::new(), retry, is_recorded: false }
            .wait(receives, spread)
            .as_secs()
    }

    #[test]
    fn a_message_waits_longer_each_time_but_never_hours() {
        let waits = [1, 2, 3, 8, 9, 1000].map(|receives| wait(Retry::Later(None), receives, 1.0));
        assert_eq!(waits, [2, 4, 8, 256, 300, 300]);
        let waits = [1, 2, 3, 8, 9, 1000].map(|receives| wait(Retry::Later(None), receives, 0.0));
        assert_eq!(waits, [1, 2, 4, 128, 150, 150], "chance takes half of it at most");
    }

    #[test]
    fn fifteen_deliveries_outlast_a_quarter_of_an_hour_and_five_half_a_minute_at_most() {
        let all = |deliveries: u32, spread| -> u64 {
            (1..deliveries).map(|receives| wait(Retry::Later(None), receives, spread)).sum()
        };
        assert!(all(15, 0.0) >= 15 * 60, "{} s", all(15, 0.0));
        assert_eq!(all(5, 1.0), 30);
    }

    #[test]
    fn a_wait_that_the_failure_names_is_kept_within_reason() {
        assert_eq!(wait(Retry::Later(Some(Duration::from_secs(7))), 9, 0.0), 7);
        assert_eq!(wait(Retry::Later(Some(Duration::from_secs(7))), 9, 1.0), 9);
        assert_eq!(wait(Retry::Later(Some(Duration::MAX)), 1, 0.0), 900);
    }

    #[test]
    fn the_text_of_a_panic_is_the_reason() {
        assert_eq!(Failure::panicked(&"boom").reason, "the stage panicked: boom");
        assert_eq!(Failure::panicked(&"boom".to_owned()).reason, "the stage panicked: boom");
        assert_eq!(Failure::panicked(&7).reason, "the stage panicked: no message");
    }

    #[test]
    fn five_minutes_without_aws_lose_no_message_that_is_delivered_fifteen_times() {
        const RECEIVES_MAX: u32 = 15;
        let outage = Duration::from_mins(5);
        let throttled = AwsError::answered(AwsService::Ecs, "ListTasks", 400, "ThrottlingException", None);
        let failure = Failure::from(StageError::Discover(DiscoveryError::Ecs(EcsError::Call(throttled))));
        assert_eq!((failure.code, failure.retry), ("ecs", Retry::Later(None)));
        let mut now = Duration::ZERO;
        for receives in 1..RECEIVES_MAX {
            // The shortest possible waits.
            now += failure.wait(receives, 0.0);
            if now >= outage {
                return;
            }
        }
        panic!("given up after {now:?}");
    }

    /// The codes in a source file: the words that `fn code` returns, and the values of fields `code`.
    fn codes(source: &str) -> BTreeSet<&str> {
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let functions = source.split("pub fn code(&self) -> &'static str {").skip(1);
        let answered = functions.filter_map(|rest| rest.split("\n    }\n").next());
        let words = answered.flat_map(|body| body.split('"').skip(1).step_by(2));
        let fields = source.split("code: \"").skip(1).filter_map(|rest| rest.split('"').next());
        words.chain(fields).filter(|word| *word != "x").collect()
    }

    #[test]
    fn every_code_of_a_dead_letter_is_documented_and_no_other() {
        let sources = [include_str!("mod.rs"), include_str!("../fleet/mod.rs"), include_str!("failure.rs")];
        let mut written: BTreeSet<&str> = sources.into_iter().flat_map(codes).collect();
        // Outcomes that end in the dead letters: `StageError::NotNotified`.
        written.extend(["rejected", "failed"]);
        assert!(written.len() > 15, "the words were not found: {written:?}");
        let document = include_str!("../../../../docs/operate.md");
        let table =
            document.split("| `code` | what it means").nth(1).and_then(|rest| rest.split("\n\n").next());
        let cells = table.unwrap().lines().skip(2).filter_map(|row| row.split('|').nth(1));
        let documented: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        assert_eq!(documented, written);
    }
}
