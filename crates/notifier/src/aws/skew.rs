//! Corrects this machine's clock by the clock of AWS.
//!
//! The horizon of a delivery is counted from the time at which SQS received its message. A clock that is hours ahead would
//! end every retry at once; one behind would make signatures that no receiver accepts. Every answer of AWS has a `Date`,
//! so a wrong clock is detected, logged once, and corrected.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

use crate::base::Clock;

/// A smaller difference is not corrected: answers take some time, and receivers accept minutes.
const TOLERANCE_S: i64 = 120;

/// The difference in the last answer. Clones share it.
#[derive(Clone, Debug)]
pub struct Skew {
    clock: Clock,
    /// Seconds to add to the machine's time; 0 within the tolerance.
    seconds: Arc<AtomicI64>,
}

impl Skew {
    /// Compares this clock with AWS's.
    pub fn new(clock: Clock) -> Self {
        Self { clock, seconds: Arc::default() }
    }

    /// The clock, corrected if it differs by more than two minutes.
    pub fn corrected(&self) -> Clock {
        let Self { clock, seconds } = self.clone();
        Clock::from_fn(move || {
            let skew = time::Duration::seconds(seconds.load(Ordering::Relaxed));
            clock.now().saturating_add(skew).into()
        })
    }

    /// Records the time of AWS.
    fn seen(&self, date: &str) {
        let Ok(date) = DateTime::from_str(date, Format::HttpDate) else { return };
        let skew = date.secs().saturating_sub(self.clock.unix_seconds());
        let skew = if skew.saturating_abs() > TOLERANCE_S { skew } else { 0 };
        if self.seconds.swap(skew, Ordering::Relaxed) == 0 && skew != 0 {
            let side = if skew < 0 { "ahead of" } else { "behind" };
            tracing::warn!(
                skew_s = skew,
                "This machine's clock is {} s {side} the clock of AWS; times are corrected by that. Set the clock, for example with NTP",
                skew.unsigned_abs()
            );
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Skew {
    fn name(&self) -> &'static str {
        "Skew"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.seen(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// What a clock at this time shows after an answer that was sent at noon, 2026-11-25.
    fn shown(seconds_past_noon: i64) -> i64 {
        const NOON: i64 = 1_795_608_000;
        let now = u64::try_from(NOON + seconds_past_noon).unwrap();
        let skew = Skew::new(Clock::fixed(UNIX_EPOCH + Duration::from_secs(now)));
        let corrected = skew.corrected();
        skew.seen("nonsense");
        skew.seen("Wed, 25 Nov 2026 12:00:00 GMT");
        corrected.unix_seconds() - NOON
    }

    #[test]
    fn a_clock_is_corrected_where_it_is_wrong_by_more_than_two_minutes() {
        let found = [3_600, 121, 119, 0, -119, -86_400].map(shown);
        assert_eq!(found, [0, 0, 119, 0, -119, 0]);
    }

    #[test]
    fn a_clock_that_was_set_right_is_believed_again() {
        let skew = Skew::new(Clock::fixed(UNIX_EPOCH + Duration::from_secs(1_795_608_000)));
        skew.seen("Wed, 25 Nov 2026 13:00:00 GMT");
        assert_eq!(skew.corrected().unix_seconds(), 1_795_611_600);
        skew.seen("Wed, 25 Nov 2026 12:00:01 GMT");
        assert_eq!(skew.corrected().unix_seconds(), 1_795_608_000);
    }
}
