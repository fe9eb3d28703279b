//! Injected faults: which calls of an operation fail, and how.
//!
//! The server checks every call before the operation runs; the SQS module checks every entry of a batch. A test proxy
//! between a program and another service calls [`Faults::meet`] itself.

mod buckets;
mod rule;

pub use rule::{Fault, When};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::AwsError;
use crate::lock;
use buckets::Buckets;
use rule::{Kind, Rule};

/// The operation of faults that happen to task state change events.
pub const TASK_EVENT: &str = "TaskStateChange";

/// The orders in force. Clones share them, so the server, SQS and a test hold one set.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// Buckets by account and Region.
    buckets: Option<BTreeMap<String, Buckets>>,
    struck: BTreeMap<(String, &'static str), u64>,
}

/// What is to happen to one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How long the answer is held back.
    pub delay: Duration,
    /// What happens instead of the operation, or to its answer.
    pub fate: Option<Fate>,
    /// Whether a list's page comes back empty.
    pub empty_page: bool,
}

/// What is to happen to one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each fault happens or not, whatever the others do")]
pub(crate) struct EventVerdict {
    pub(crate) is_lost: bool,
    pub(crate) is_doubled: bool,
    pub(crate) is_swapped: bool,
    pub(crate) is_float: bool,
    /// Whether the event that the task runs arrives again.
    pub(crate) runs_again: bool,
    pub(crate) late: Duration,
    pub(crate) gap: Duration,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Refused for exceeding the request rate.
    Throttled,
    /// Refused with an internal error.
    Failed,
    /// The connection is reset before the operation runs.
    Reset,
    /// The operation runs, and its answer is dropped.
    AnswerLost,
}

impl Faults {
    /// From now on, calls of `operation` (`ListTasks`, `DescribeInstances`, `SendMessageBatch`…, or `*` for all) meet
    /// `fault` as `when` says.
    ///
    /// Every order counts for itself, from its own first call. Where several orders meet one call their delays add up
    /// and the earliest order decides how it ends.
    pub fn order(&self, operation: &str, when: When, fault: Fault) {
        lock(&self.state).rules.push(Rule::new(operation, when, fault));
    }

    /// Throttles ECS and EC2 by token buckets with AWS's documented bursts and refill rates, shared by the operations
    /// of a group, separate for each account and Region. Off by default.
    pub fn throttle_like_aws(&self) {
        lock(&self.state).buckets = Some(BTreeMap::new());
    }

    /// Withdraws every order and the token buckets. What struck so far is still counted.
    pub fn clear(&self) {
        let mut state = lock(&self.state);
        state.rules.clear();
        state.buckets = None;
    }

    /// Number of injected faults, by operation and [`Fault::name`].
    pub fn struck(&self) -> BTreeMap<(String, &'static str), u64> {
        lock(&self.state).struck.clone()
    }

    /// Whether one entry of a batch call fails although the call succeeds, and with what.
    ///
    /// `operation` is the batch call (`SendMessageBatch`, `DeleteMessageBatch`…), `id` the entry's `Id`. Only
    /// [`Fault::DropEntry`] counts here; its `when` counts entries, not calls. The answer belongs into the batch's
    /// `Failed` list.
    pub fn drops_entry(&self, operation: &str, id: &str) -> Option<AwsError> {
        self.deals(Fault::DropEntry, operation)
            .then(|| AwsError::server("InternalError", format!("injected fault: entry {id} is dropped")))
    }

    /// Whether a message that is being received stays visible this once. Only [`Fault::DeliverTwice`] counts here.
    pub(crate) fn delivers_twice(&self) -> bool {
        self.deals(Fault::DeliverTwice, "ReceiveMessage")
    }

    /// Counts one entry or message against every order of `fault`, and says whether one strikes.
    fn deals(&self, fault: Fault, operation: &str) -> bool {
        let mut state = lock(&self.state);
        let mut struck = false;
        for rule in state.rules.iter_mut().filter(|rule| rule.deals(fault, operation)) {
            struck |= rule.strikes();
        }
        if struck {
            state.count(operation, fault);
        }
        struck
    }

    /// Counts one task state change event, and says what happens to it. `is_end`: the task was running and has stopped.
    pub(crate) fn meet_event(&self, is_end: bool) -> EventVerdict {
        let mut state = lock(&self.state);
        let mut verdict = EventVerdict::default();
        let mut dealt = Vec::new();
        for rule in state.rules.iter_mut().filter(|rule| rule.meets(Kind::Event, TASK_EVENT)) {
            let counts = is_end || rule.fault() != Fault::LateRunning;
            if counts && rule.strikes() {
                verdict.suffer(rule);
                dealt.push(rule.fault());
            }
        }
        for fault in dealt {
            state.count(TASK_EVENT, fault);
        }
        verdict
    }

    /// Counts one call and says what happens to it. `whole`: the call asks for everything, with neither a filter nor
    /// pages, which EC2 limits more.
    pub fn meet(&self, operation: &str, whole: bool, now: Instant) -> Verdict {
        self.meet_at("", operation, whole, now)
    }

    /// The same for a call that draws on the buckets of this account and Region.
    pub(crate) fn meet_at(&self, place: &str, operation: &str, whole: bool, now: Instant) -> Verdict {
        let mut state = lock(&self.state);
        let mut verdict = Verdict::default();
        let mut dealt = Vec::new();
        for rule in state.rules.iter_mut().filter(|rule| rule.meets(Kind::Call, operation)) {
            if rule.strikes() {
                verdict.suffer(rule);
                dealt.push(rule.fault());
            }
        }
        for fault in dealt {
            state.count(operation, fault);
        }
        if let Some(buckets) = &mut state.buckets
            && !buckets.entry(place.to_owned()).or_default().take(operation, whole, now)
        {
            verdict.fate.get_or_insert(Fate::Throttled);
        }
        verdict
    }
}

impl State {
    fn count(&mut self, operation: &str, fault: Fault) {
        *self.struck.entry((operation.to_owned(), fault.name())).or_default() += 1;
    }
}

impl EventVerdict {
    fn suffer(&mut self, rule: &Rule) {
        match rule.fault() {
            Fault::LoseEvent => self.is_lost = true,
            Fault::DoubleEvent => self.is_doubled = true,
            Fault::SwapEvent => self.is_swapped = true,
            Fault::FloatVersion => self.is_float = true,
            Fault::LateRunning => self.runs_again = true,
            Fault::LateEvent(latency) => self.late += rule.time(latency),
            Fault::EventGap(gap) => self.gap = self.gap.max(gap),
            _ => {}
        }
    }
}

impl Verdict {
    fn suffer(&mut self, rule: &Rule) {
        let fate = match rule.fault() {
            Fault::Delay(delay) => {
                self.delay += delay;
                return;
            }
            Fault::Latency(latency) => {
                self.delay += rule.time(latency);
                return;
            }
            Fault::EmptyPage => {
                self.empty_page = true;
                return;
            }
            Fault::Throttle => Fate::Throttled,
            Fault::Fail => Fate::Failed,
            Fault::Reset => Fate::Reset,
            Fault::LoseAnswer => Fate::AnswerLost,
            _ => return,
        };
        self.fate.get_or_insert(fate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latency;

    /// Which of `calls` calls of `ListTasks` are throttled.
    fn struck(when: When, calls: u64) -> Vec<u64> {
        let faults = Faults::default();
        faults.order("ListTasks", when, Fault::Throttle);
        let throttled = Verdict { fate: Some(Fate::Throttled), ..Verdict::default() };
        (1..=calls).filter(|_| faults.meet("ListTasks", false, Instant::now()) == throttled).collect()
    }

    #[test]
    fn orders_strike_the_calls_they_name() {
        assert_eq!(struck(When::Nth(3), 9), [3]);
        assert_eq!(struck(When::First(2), 9), [1, 2]);
        assert_eq!(struck(When::Every(3), 9), [3, 6, 9]);
        assert!(struck(When::Every(0), 9).is_empty());
        assert_eq!(struck(When::Always, 3), [1, 2, 3]);
        let chance = |seed| struck(When::Chance { per_mille: 100, seed }, 2_000);
        assert!((150..250).contains(&chance(1).len()), "a tenth of them");
        assert!(chance(1) == chance(1) && chance(1) != chance(2));
    }

    #[test]
    fn delays_add_up_and_the_first_order_decides() {
        let faults = Faults::default();
        let second = Duration::from_secs(1);
        faults.order("*", When::Always, Fault::Delay(second));
        faults.order("ListTasks", When::Always, Fault::Delay(second));
        faults.order("ListTasks", When::Always, Fault::Reset);
        faults.order("ListTasks", When::Always, Fault::Fail);
        let verdict = faults.meet("ListTasks", false, Instant::now());
        assert_eq!((verdict.delay, verdict.fate), (2 * second, Some(Fate::Reset)));
        let other = faults.meet("ListServices", false, Instant::now());
        assert_eq!((other.delay, other.fate), (second, None));
        faults.clear();
        assert_eq!(faults.meet("ListTasks", false, Instant::now()), Verdict::default());
    }

    #[test]
    fn the_buckets_of_accounts_and_regions_are_apart() {
        let (faults, now) = (Faults::default(), Instant::now());
        faults.throttle_like_aws();
        let granted = |place: &str| {
            let calls = (0..300).filter(|_| faults.meet_at(place, "ListTasks", false, now).fate.is_none());
            calls.count()
        };
        assert_eq!(
            ["1 us-east-1", "1 eu-west-1", "2 us-east-1", "1 us-east-1"].map(granted),
            [100, 100, 100, 0]
        );
    }

    #[test]
    fn times_of_calls_are_drawn_from_the_seed() {
        let latency = |seed| {
            let faults = Faults::default();
            let latency = Latency { median_us: 1_000, p99_us: 9_000, seed };
            faults.order("ListTasks", When::Always, Fault::Latency(latency));
            [(); 3].map(|()| faults.meet("ListTasks", false, Instant::now()).delay)
        };
        assert!(latency(1) == latency(1) && latency(1) != latency(2) && latency(1)[0] != latency(1)[1]);
    }

    #[test]
    fn what_struck_is_counted_and_outlives_the_orders() {
        let faults = Faults::default();
        faults.order("*", When::Every(2), Fault::Reset);
        faults.order("SendMessageBatch", When::Nth(1), Fault::DropEntry);
        for operation in ["ListTasks", "ListTasks", "ListServices", "ListServices"] {
            let _ = faults.meet(operation, false, Instant::now());
        }
        assert!(faults.drops_entry("SendMessageBatch", "a").is_some());
        faults.clear();
        let struck: Vec<_> = faults
            .struck()
            .into_iter()
            .map(|((operation, fault), n)| format!("{operation} {fault} {n}"))
            .collect();
        assert_eq!(struck, ["ListServices reset 1", "ListTasks reset 1", "SendMessageBatch drop entry 1"]);
    }

    #[test]
    fn entries_are_counted_apart_from_calls() {
        let faults = Faults::default();
        faults.order("SendMessageBatch", When::Nth(2), Fault::DropEntry);
        assert_eq!(faults.meet("SendMessageBatch", false, Instant::now()), Verdict::default());
        assert!(faults.drops_entry("SendMessageBatch", "a").is_none());
        assert!(faults.drops_entry("SendMessageBatch", "b").is_some_and(|error| !error.is_senders()));
        assert!(faults.drops_entry("DeleteMessageBatch", "b").is_none());
    }
}
