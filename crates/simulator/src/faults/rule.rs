//! One injected fault with its own count of calls.

use std::time::Duration;

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
}

impl Fault {
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

    /// Whether this order is about whole calls of `operation`.
    pub(super) fn meets(&self, operation: &str) -> bool {
        !matches!(self.fault, Fault::DropEntry | Fault::DeliverTwice) && self.names(operation)
    }

    /// Counts one call, or entry, and says whether it is struck.
    pub(super) fn strikes(&mut self) -> bool {
        self.calls += 1;
        match self.when {
            When::Nth(n) => self.calls == n,
            When::First(n) => self.calls <= n,
            When::Every(n) => n > 0 && self.calls.is_multiple_of(n),
            When::Always => true,
        }
    }

    fn names(&self, operation: &str) -> bool {
        self.operation == "*" || self.operation == operation
    }
}
