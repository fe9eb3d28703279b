//! The lease rule: which tokens of a shared bucket a process may claim, and when. Pure: the caller has the clock and the table.
//!
//! Time is cut into periods. Each period has one chunk of tokens, as many as the bucket gets in that time, and each chunk is
//! claimed by at most one process: the table refuses a second claim. A token may be used from the beginning of its
//! period until the rest of the burst has been refilled, and not later. So in any time W, all processes together use at
//! most `refill × W + burst` tokens, whatever their number, and whatever becomes of a process that claimed some.
//! If their clocks differ, W is longer by the largest difference.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws::budget::BucketShare;

const MICROS_PER_S: f64 = 1_000_000.0;
/// Chunks per second, if each has at least one token.
const CHUNKS_PER_S: f64 = 5.0;
/// A token can be used for at least this part of its period, because a claim takes time.
const USABLE_MIN: u64 = 4;
/// Time after which the table is read again, for the throttles that other processes met.
const FRESH_US: u64 = 1_000_000;

/// Time since 1970, in microseconds.
pub(super) type Micros = u64;

/// The chunks of a share of one bucket. Every process with the same share has the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Tokens of each.
    pub(super) tokens: u32,
    period: Micros,
    /// How long a token can be used after the beginning of its period.
    usable: Micros,
}

impl Chunks {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and at most some hours in microseconds"
    )]
    pub(super) fn of(share: BucketShare) -> Self {
        let tokens = ((share.refill_per_s / CHUNKS_PER_S) as u32).clamp(1, share.burst);
        let micros = |tokens: u32| f64::from(tokens) / share.refill_per_s * MICROS_PER_S;
        let (period, usable) = (micros(tokens).ceil() as u64, micros(share.burst - tokens) as u64);
        let usable_min = period / USABLE_MIN;
        if usable >= usable_min {
            return Self { tokens, period, usable };
        }
        // The burst is one chunk. Longer periods make room: the second of two tokens is never too early.
        Self { tokens, period: period + usable_min, usable: usable_min }
    }

    /// The chunks whose tokens can be used now.
    fn usable_at(&self, now: Micros) -> RangeInclusive<u64> {
        now.saturating_sub(self.usable).div_ceil(self.period)..=now / self.period
    }

    fn begins(&self, chunk: u64) -> Micros {
        chunk.saturating_mul(self.period)
    }

    fn is_usable(&self, chunk: u64, now: Micros) -> bool {
        self.usable_at(now).contains(&chunk)
    }
}

/// The part of the share that the installation uses, after AWS throttled it: halved at a throttle, then more in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Throttled {
    /// Eighths of the share at that time.
    eighths: u8,
    /// When AWS throttled.
    at_us: Micros,
}

/// The whole share.
const WHOLE: u8 = 8;
/// Time between two steps of the increase.
const STEP_US: u64 = 10_000_000;
/// Throttles soon after the last are those of calls that were under way.
const HOLD_US: u64 = 5_000_000;
/// The order in which the chunks of each eight are left out: the rest is spread evenly.
const ORDER: [u8; 8] = [0, 4, 2, 6, 1, 5, 3, 7];

impl Default for Throttled {
    /// Never.
    fn default() -> Self {
        Self { eighths: WHOLE, at_us: 0 }
    }
}

impl Throttled {
    /// The eighths of the share that can be used now.
    pub(super) fn eighths(&self, now: Micros) -> u8 {
        let steps = u8::try_from(now.saturating_sub(self.at_us) / STEP_US).unwrap_or(u8::MAX);
        self.eighths.saturating_add(steps).clamp(1, WHOLE)
    }

    /// After a throttle: half of what was used; `None` if that throttle is no news.
    fn halved(&self, now: Micros) -> Option<Self> {
        let is_news = self.eighths == WHOLE || now >= self.at_us.saturating_add(HOLD_US);
        is_news.then(|| Self { eighths: (self.eighths(now) / 2).max(1), at_us: now })
    }

    fn allows(&self, chunk: u64, now: Micros) -> bool {
        let place = usize::try_from(chunk % 8).unwrap_or_default();
        ORDER.get(place).is_some_and(|order| *order < self.eighths(now))
    }
}

/// What to do next for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The token is taken: make the call.
    Go,
    /// List the claims from this chunk on, and the last throttle: [`Lease::listed`].
    List(u64),
    /// Claim this chunk: [`Lease::claimed`].
    Claim(u64),
    /// Write this in place of the last throttle: [`Lease::noted`].
    Note(Throttled),
    /// Wait so long.
    Wait(Duration),
}

/// The claims of one process on one bucket.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    chunks: Chunks,
    /// A chunk that is ours, and its tokens that are left.
    held: Option<(u64, u32)>,
    /// Chunks that were claimed by anybody, of those that can still be used.
    taken: BTreeSet<u64>,
    throttled: Throttled,
    listed_at: Option<Micros>,
    /// Whether AWS throttled a call of this process, and the table does not say so yet.
    is_throttled: bool,
    /// Whether others claim chunks at the same time.
    is_contended: bool,
}

impl Lease {
    pub(super) fn new(chunks: Chunks) -> Self {
        Self {
            chunks,
            held: None,
            taken: BTreeSet::new(),
            throttled: Throttled::default(),
            listed_at: None,
            is_throttled: false,
            is_contended: false,
        }
    }

    /// The next step. `spread`, from 0.0 to 1.0, keeps processes apart that want the same chunk.
    pub(super) fn next(&mut self, now: Micros, spread: f64) -> Step {
        if let Some((chunk, left)) = self.held.take()
            && self.chunks.is_usable(chunk, now)
        {
            self.held = Some((chunk, left.saturating_sub(1))).filter(|(_, left)| *left > 0);
            return Step::Go;
        }
        let usable = self.chunks.usable_at(now);
        // A clock that was set back makes the list old too.
        let age = self.listed_at.and_then(|at| now.checked_sub(at));
        if age.is_none_or(|age| age >= FRESH_US) {
            return Step::List(*usable.start());
        }
        if std::mem::take(&mut self.is_throttled)
            && let Some(halved) = self.throttled.halved(now)
        {
            return Step::Note(halved);
        }
        self.taken = self.taken.split_off(usable.start());
        let free = |chunk: &u64| !self.taken.contains(chunk) && self.throttled.allows(*chunk, now);
        let next = *usable.end() + 1;
        let mut candidates = usable.filter(free);
        // The oldest expires first. But several processes that all want the oldest would lose time.
        let claim =
            if self.is_contended { pick(&candidates.collect::<Vec<_>>(), spread) } else { candidates.next() };
        if let Some(chunk) = claim {
            return Step::Claim(chunk);
        }
        let allowed = (next..next + u64::from(WHOLE)).find(|chunk| self.throttled.allows(*chunk, now));
        let until = self.chunks.begins(allowed.unwrap_or(next)).saturating_sub(now);
        let apart = if self.is_contended { self.chunks.usable.min(self.chunks.period) / 2 } else { 0 };
        Step::Wait(
            Duration::from_micros(until) + Duration::from_micros(apart).mul_f64(spread.clamp(0.0, 1.0)),
        )
    }

    /// The claims in the table at this time, and the last throttle.
    pub(super) fn listed(&mut self, now: Micros, taken: BTreeSet<u64>, throttled: Option<Throttled>) {
        self.taken.extend(taken);
        self.throttled = throttled.unwrap_or_default();
        self.listed_at = Some(now);
        self.is_contended = false;
    }

    /// Whether the chunk was claimed: `false` means that another process has it.
    pub(super) fn claimed(&mut self, chunk: u64, is_ours: bool) {
        self.taken.insert(chunk);
        if is_ours {
            self.held = Some((chunk, self.chunks.tokens));
        } else {
            self.is_contended = true;
        }
    }

    /// The throttle was written.
    pub(super) fn noted(&mut self, throttled: Throttled) {
        self.throttled = throttled;
    }

    /// AWS throttled a call of this process.
    pub(super) fn throttle(&mut self) {
        self.is_throttled = true;
        // Another process may have noted it.
        self.listed_at = None;
    }
}

fn pick(chunks: &[u64], spread: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index below the number of chunks, which is below 1,000"
    )]
    let index = (chunks.len() as f64 * spread.clamp(0.0, 1.0)) as usize;
    chunks.get(index.min(chunks.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests;
