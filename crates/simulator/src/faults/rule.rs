//! One injected fault with its own count of calls.

use std::time::Duration;

use crate::chance::Draw;
use crate::latency::Latency;

/// Which calls of an operation an order strikes, counted from 1 since the order was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only call number `n`.
    Nth(u64),
    /// The first `n` calls.
    First(u64),
    /// Every `n`th call: with 3, calls 3, 6, 9… (0 strikes none).
    Every(u64),
    /// All calls.
    Always,
    /// Each call with this chance of a thousand; the same seed strikes the same calls.
    Chance {
        /// How many of 1,000 calls are struck on average.
        per_mille: u32,
        /// What chance is drawn from.
        seed: u64,
    },
}

/// What happens to a struck call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused for exceeding the request rate, with the service's own error: `ThrottlingException` (ECS),
    /// `RequestLimitExceeded` (EC2) or `RequestThrottled` (SQS).
    Throttle,
    /// Refused with the service's internal error and status 500.
    Fail,
    /// Answered properly, this much later.
    Delay(Duration),
    /// Answered properly, after a time of this distribution.
    Latency(Latency),
    /// The connection is reset before the operation runs.
    Reset,
    /// The operation runs, and the connection is reset instead of its answer: the caller cannot know that it worked.
    LoseAnswer,
    /// A List call of ECS answers no items and a token that leads to the same place.
    EmptyPage,
    /// One entry of a batch call fails while the call succeeds; counts entries, not calls. For ECS's Describe calls
    /// an entry is a failure `MISSING`, as right after a task started; for `DescribeInstances` it is left out.
    DropEntry,
    /// A message that `ReceiveMessage` returns stays visible this once, so it is delivered again at once; counts
    /// messages, not calls.
    DeliverTwice,
    /// A task state change event never arrives. This and the following faults count events, as operation
    /// [`TASK_EVENT`](super::TASK_EVENT), and not calls.
    LoseEvent,
    /// An event arrives twice, with the same id.
    DoubleEvent,
    /// An event arrives after the one that follows it; two seconds late where none follows.
    SwapEvent,
    /// An event arrives after a time of this distribution, and others overtake it.
    LateEvent(Latency),
    /// This event, and all that follow within this time, arrive when it has passed.
    EventGap(Duration),
    /// After the event that a task has stopped, the event that it runs arrives again. Counts only the tasks' ends.
    LateRunning,
    /// The version is written as a float: `9.0`.
    FloatVersion,
}

/// To what a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    /// An entry of a batch, or a message.
    Entry,
    Event,
}

impl Fault {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Throttle
            | Self::Fail
            | Self::Delay(_)
            | Self::Latency(_)
            | Self::Reset
            | Self::LoseAnswer
            | Self::EmptyPage => Kind::Call,
            Self::DropEntry | Self::DeliverTwice => Kind::Entry,
            Self::LoseEvent
            | Self::DoubleEvent
            | Self::SwapEvent
            | Self::LateEvent(_)
            | Self::EventGap(_)
            | Self::LateRunning
            | Self::FloatVersion => Kind::Event,
        }
    }

    /// What it is called in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Fail => "fail",
            Self::Delay(_) => "delay",
            Self::Reset => "reset",
            Self::LoseAnswer => "lose answer",
            Self::EmptyPage => "empty page",
            Self::DropEntry => "drop entry",
            Self::DeliverTwice => "deliver twice",
            Self::Latency(_) => "latency",
            Self::LoseEvent => "lose event",
            Self::DoubleEvent => "double event",
            Self::SwapEvent => "swap event",
            Self::LateEvent(_) => "late event",
            Self::EventGap(_) => "event gap",
            Self::LateRunning => "late running",
            Self::FloatVersion => "float version",
        }
    }
}

/// An order with its count.
#[derive(Debug)]
pub(super) struct Rule {
    operation: String,
    when: When,
    fault: Fault,
    calls: u64,
}

impl Rule {
    pub(super) fn new(operation: &str, when: When, fault: Fault) -> Self {
        Self { operation: operation.to_owned(), when, fault, calls: 0 }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether this order deals `fault` to single entries or messages of `operation`.
    pub(super) fn deals(&self, fault: Fault, operation: &str) -> bool {
        self.fault == fault && self.names(operation)
    }

    /// Whether this order is about whole calls of `operation`, or about events.
    pub(super) fn meets(&self, kind: Kind, operation: &str) -> bool {
        self.fault.kind() == kind && self.names(operation)
    }

    /// A time of this distribution for the call that was counted last.
    pub(super) fn time(&self, latency: Latency) -> Duration {
        latency.time(0, self.calls)
    }

    /// Counts one call, or entry, and says whether it is struck.
    pub(super) fn strikes(&mut self) -> bool {
        self.calls += 1;
        match self.when {
            When::Nth(n) => self.calls == n,
            When::First(n) => self.calls <= n,
            When::Every(n) => n > 0 && self.calls.is_multiple_of(n),
            When::Always => true,
            When::Chance { per_mille, seed } => {
                Draw::nth(seed, self.calls).unit() * 1_000.0 < f64::from(per_mille)
            }
        }
    }

    fn names(&self, operation: &str) -> bool {
        self.operation == "*" || self.operation == operation
    }
}
