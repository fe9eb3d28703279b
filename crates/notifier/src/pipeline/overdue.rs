//! Whether no further outcome of a broadcast can follow. Pure.

use std::time::Duration;

use time::OffsetDateTime;

use super::failure::RETRY_AFTER_MAX;
use crate::report::Report;

/// The longest time for which consumers that never finish can hide a message, until SQS moves it to the dead letters: the
/// queue's maximum receives times its visibility timeout. The Terraform module's queues stay within it: the first queue,
/// and the sum of the second and third.
const RECEIVES_TIME_MAX: Duration = Duration::from_hours(8);

/// The longest time between two records of a broadcast: a delivery is retried until the horizon, its last attempt waits
/// for the longest `Retry-After`, and crashes hide its message for all receives.
fn silence_max(horizon: Duration) -> Duration {
    horizon + RETRY_AFTER_MAX + RECEIVES_TIME_MAX
}

/// Whether no further outcome of pending containers can follow, if the last record was made at `heard`.
pub fn is_overdue(report: &Report, heard: OffsetDateTime, now: OffsetDateTime, horizon: Duration) -> bool {
    report.counts().pending > 0 && now - heard > silence_max(horizon)
}

#[cfg(test)]
mod tests {
    use wire::BroadcastId;

    use super::*;
    use crate::model::Delivery;

    fn report(entries: Vec<Delivery>) -> Report {
        Report::new(BroadcastId::try_from("b-1".to_owned()).unwrap(), entries)
    }

    #[test]
    fn a_broadcast_is_overdue_after_the_horizon_the_longest_wait_and_all_receives() {
        let horizon = Duration::from_mins(10);
        assert_eq!(silence_max(horizon), Duration::from_mins(10 + 15 + 8 * 60));
        let heard = OffsetDateTime::UNIX_EPOCH;
        let is_overdue = |report: &Report, minutes: u64| {
            super::is_overdue(report, heard, heard + Duration::from_mins(minutes), horizon)
        };
        let pending = report(vec![Delivery::default()]);
        assert!(!is_overdue(&pending, 505));
        assert!(is_overdue(&pending, 506));
        assert!(!is_overdue(&report(Vec::new()), 10_000), "no container is pending");
    }

    #[test]
    fn the_queues_of_the_module_stay_within_the_time_that_receives_can_take() {
        let stages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/terraform/stages.json");
        let stages: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(stages).unwrap()).unwrap();
        let time = |name: &str| {
            let number = |field: &str| stages[name][field].as_u64().unwrap();
            Duration::from_secs(number("receives_max") * number("visibility_s"))
        };
        assert!(time("services") <= RECEIVES_TIME_MAX, "{:?}", time("services"));
        assert!(time("tasks") + time("notify") <= RECEIVES_TIME_MAX, "{:?}", time("tasks") + time("notify"));
    }
}
