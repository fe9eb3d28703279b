//! The time of day, as an argument: tests choose what a clock says. Waits use tokio's clock instead.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use time::OffsetDateTime;

/// The time of day. Cloning it is cheap.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The machine's own clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
    pub fn system() -> Self {
        Self::from_fn(SystemTime::now)
    }

    /// A clock with a fixed time.
    pub fn fixed(at: SystemTime) -> Self {
        Self::from_fn(move || at)
    }

    /// A clock that calls `now` each time it is read.
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time, in UTC.
    pub fn now(&self) -> OffsetDateTime {
        (self.0)().into()
    }

    /// The time in whole seconds since 1970-01-01 UTC.
    pub fn unix_seconds(&self) -> i64 {
        self.now().unix_timestamp()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fixed_clock_stands_still() {
        let clock = Clock::fixed(SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_900));
        assert_eq!(clock.unix_seconds(), 86_400);
        assert_eq!(clock.now().date().to_string(), "1970-01-02");
    }
}
