//! The tokens of a process that shares its budget with no other: a token bucket in memory.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use governor::clock::Clock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::{Group, Groups, TokenSource};

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock>;

/// A token bucket for each group.
#[derive(Debug)]
pub(super) struct ProcessTokens(Groups<Limiter>);

impl ProcessTokens {
    /// This percentage of AWS's buckets.
    pub(super) fn new(percent: f64) -> Self {
        let limiter = |group| RateLimiter::direct_with_clock(quota(group, percent), TokioClock);
        Self(Groups::new(limiter))
    }
}

fn quota(group: Group, percent: f64) -> Quota {
    let share = group.share(percent);
    let period = Duration::from_secs_f64(1.0 / share.refill_per_s);
    // The period is never zero with AWS's rates and a valid percentage, and the burst neither.
    let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    quota.allow_burst(NonZeroU32::new(share.burst).unwrap_or(NonZeroU32::MIN))
}

impl TokenSource for ProcessTokens {
    fn take(&self, group: Group) -> BoxFuture<'_, ()> {
        async move {
            let limiter = self.0.get(group);
            // Terminates: the bucket refills at a constant rate, and no other caller takes tokens meanwhile.
            while let Err(not_yet) = limiter.check() {
                tokio::time::sleep(not_yet.wait_time_from(TokioClock.now())).await;
            }
        }
        .boxed()
    }

    /// The SDK's backoff slows a single process down.
    fn throttled(&self, _: Group) {}
}

/// Tokio's clock, which tests can pause.
#[derive(Clone, Debug)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
