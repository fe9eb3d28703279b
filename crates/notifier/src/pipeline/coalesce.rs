//! Coalescing: of the events of one key in one window, only the newest is broadcast.
//!
//! An event that is the newest so far goes back to its queue until the window ends; then it is broadcast, unless a newer one
//! has arrived. So the queue always holds the newest event, and a crash loses none. With a ledger the windows are shared by
//! all processes, without one each process has its own.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use wire::Coalesce;

use super::{Ctx, StageError};
use crate::base::fnv1a;

/// Windows that a process without a ledger remembers.
const WINDOWS_MAX: usize = 100_000;

/// The windows of this process, if it has no ledger.
pub(super) struct Windows(Cache<(String, i64), Arc<Mutex<Window>>>);

/// What is known of the events of one key in one window.
#[derive(Debug, Default)]
struct Window {
    /// The version of the newest.
    newest: String,
    /// Number of events.
    events: usize,
}

impl Default for Windows {
    fn default() -> Self {
        Self(Cache::new(WINDOWS_MAX))
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Windows").field(&self.0.len()).finish()
    }
}

impl Windows {
    fn key(event: &Coalesce) -> (String, i64) {
        (event.key.clone(), event.window)
    }

    /// Takes note of an event. Returns whether it is the newest so far.
    fn add(&self, event: &Coalesce) -> bool {
        let Ok(window) = self.0.get_or_insert_with(&Self::key(event), || Ok::<_, Infallible>(Arc::default()));
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        window.events += 1;
        if event.version >= window.newest {
            window.newest.clone_from(&event.version);
        }
        window.newest == event.version
    }

    /// Number of events of the window if this is the newest; 1 if the window is not known, after a restart.
    fn events(&self, event: &Coalesce) -> Option<usize> {
        let Some(window) = self.0.get(&Self::key(event)) else { return Some(1) };
        let window = window.lock().unwrap_or_else(PoisonError::into_inner);
        (window.newest <= event.version).then_some(window.events)
    }
}

/// An event of a rule that coalesces.
pub(super) struct Incoming<'a> {
    /// Identifies the events that take each other's place.
    pub(super) key: &'a str,
    /// Length of the windows.
    pub(super) window: Duration,
    /// When the event happened, in nanoseconds since 1970.
    pub(super) at: i64,
    /// Its id, which orders events of the same time.
    pub(super) id: &'a str,
}

/// Takes note of an event. Returns its window and the time until the window ends; `None` if a newer event is known.
pub(super) async fn arrive(
    ctx: &Ctx,
    event: &Incoming<'_>,
) -> Result<Option<(Coalesce, Duration)>, StageError> {
    let (window, left) = window(ctx.clock.now(), event.window, event.key);
    let event = Coalesce::new(event.key, window, version(event.at, event.id));
    let is_newest =
        if ctx.ledger.is_kept() { ctx.ledger.coalesce(&event).await? } else { ctx.windows.add(&event) };
    Ok(is_newest.then_some((event, left)))
}

/// At the end of the window: how many older events this one replaces; `None` if a newer event replaces it.
pub(super) async fn end(ctx: &Ctx, event: &Coalesce) -> Result<Option<usize>, StageError> {
    let events = if !ctx.ledger.is_kept() {
        ctx.windows.events(event)
    } else if ctx.ledger.is_newest(event).await? {
        Some(ctx.ledger.coalesced(event).await?)
    } else {
        None
    };
    Ok(events.map(|events| events.saturating_sub(1)))
}

/// The start of a key's window at a time, in milliseconds since 1970, and the time until its end in whole seconds, as a
/// queue holds messages back. The windows of a key follow each other without a gap, and those of different keys end at
/// different times: otherwise all their broadcasts would begin at once.
fn window(now: time::OffsetDateTime, length: Duration, key: &str) -> (i64, Duration) {
    let length = i128::try_from(length.as_millis()).unwrap_or(i128::MAX).max(1);
    let now = now.unix_timestamp_nanos() / 1_000_000;
    let start = now - (now - i128::from(fnv1a(key))).rem_euclid(length);
    let left = u64::try_from(start + length - now).unwrap_or_default();
    (i64::try_from(start).unwrap_or_default(), Duration::from_secs(left.div_ceil(1_000)))
}

/// A text that orders events by time, then by id.
fn version(at: i64, id: &str) -> String {
    format!("{:020}#{id}", i128::from(at) - i128::from(i64::MIN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;

    fn event(at: i64) -> Coalesce {
        Coalesce::new("k", 0, version(at, "e"))
    }

    #[test]
    fn the_newest_event_of_a_window_takes_the_place_of_the_others() {
        let windows = Windows::default();
        assert!(windows.add(&event(1)) && windows.add(&event(3)));
        assert!(!windows.add(&event(2)));
        assert!(windows.add(&event(3)), "a repeat is the newest still");
        assert_eq!([1, 2, 3].map(|at| windows.events(&event(at))), [None, None, Some(4)]);
        assert_eq!(windows.events(&Coalesce::new("other", 0, "1")), Some(1));
    }

    proptest! {
        #[test]
        fn versions_have_the_order_of_their_times(a: i64, b: i64) {
            prop_assert_eq!(version(a, "").cmp(&version(b, "")), a.cmp(&b));
        }

        #[test]
        fn a_time_is_in_exactly_one_window(now in 0..4_000_000_000_000_i64, seconds in 1..900_u64) {
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now) * 1_000_000).unwrap();
            let length = Duration::from_secs(seconds);
            let (start, left) = window(at, length, "k");
            let end = start + i64::try_from(length.as_millis()).unwrap();
            prop_assert!(start <= now && now < end && (start - i64::from(fnv1a("k"))) % (end - start) == 0);
            let returns = now + i64::try_from(left.as_millis()).unwrap();
            prop_assert!((end..end + 1_000).contains(&returns));
        }
    }
}
