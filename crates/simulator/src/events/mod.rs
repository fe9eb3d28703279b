//! Task state change events, as a rule of EventBridge sends them to an SQS queue.
//!
//! They arrive at once and in order, unless [`faults`](crate::faults) are ordered for
//! [`TASK_EVENT`](crate::faults::TASK_EVENT). Tasks that are there from the start have no events.

mod detail;

pub(crate) use detail::detail;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::chance::{Draw, seed_of};
use crate::clock::Clock;
use crate::faults::{EventVerdict, Faults};
use crate::fleet::EventTarget;
use crate::lock;
use crate::sqs::Sqs;
use crate::worlds::Place;

/// The unique id of EventBridge, as `SenderId` of its messages.
pub(crate) const SENDER: &str = "AIDAEVENTBRIDGEEXAMPL";
/// How long an event waits for the one that is to come before it.
const SWAP_WAIT: Duration = Duration::from_secs(2);
/// The most events that are kept back. One more arrives at once.
const WAITING_MAX: usize = 200_000;

/// One change of a task, as an event says it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) detail: Value,
    pub(crate) at: Duration,
    /// For the end of a running task: what the event said that it runs.
    pub(crate) ran: Option<Value>,
}

/// Sends events to queues.
#[derive(Debug)]
pub(crate) struct Events {
    sqs: Sqs,
    faults: Faults,
    clock: Clock,
    targets: BTreeMap<Place, EventTarget>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the next event.
    number: u64,
    /// Events that are kept back, by the time of their arrival.
    waiting: BTreeMap<Arrival, Message>,
    /// An event that is to come after the next.
    swapped: Option<Arrival>,
    gap_until: Duration,
    sent: u64,
}

/// When an event arrives, and its number: events of one time arrive in their order.
type Arrival = (Duration, u64);

#[derive(Clone, Debug)]
struct Message {
    queue: String,
    body: String,
}

impl Events {
    pub(crate) fn new(sqs: Sqs, faults: Faults, clock: Clock, targets: BTreeMap<Place, EventTarget>) -> Self {
        Self { sqs, faults, clock, targets, state: Mutex::default(), wake: Notify::new() }
    }

    /// Whether anybody wants events.
    pub(crate) fn are_any_wanted(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Whether anybody wants the events of this account and Region.
    pub(crate) fn are_wanted(&self, place: &Place) -> bool {
        self.targets.contains_key(place)
    }

    /// Sends the events of these changes, in this order.
    pub(crate) fn publish(&self, place: &Place, changes: Vec<Change>) {
        let Some(target) = self.targets.get(place) else { return };
        for change in changes.into_iter().filter(|change| target.all || is_of_interest(&change.detail)) {
            let verdict = self.faults.meet_event(change.ran.is_some());
            let message = |detail: &Value| Message {
                queue: target.queue.clone(),
                body: envelope(place, detail, change.at, verdict.is_float),
            };
            let again = change.ran.as_ref().filter(|_| verdict.runs_again).map(message);
            self.accept(message(&change.detail), again, verdict);
        }
        self.wake.notify_one();
    }

    /// How many events have arrived at their queues.
    pub(crate) fn sent(&self) -> u64 {
        lock(&self.state).sent
    }

    /// How many events are kept back.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    fn accept(&self, message: Message, again: Option<Message>, verdict: EventVerdict) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if !verdict.gap.is_zero() {
            state.gap_until = state.gap_until.max(now + verdict.gap);
        }
        let wait = if verdict.is_swapped { SWAP_WAIT } else { Duration::ZERO };
        let due = (now + verdict.late + wait).max(state.gap_until);
        let copies = 1 + usize::from(verdict.is_doubled);
        let mut placed = None;
        for copy in std::iter::repeat_n(message, copies).filter(|_| !verdict.is_lost).chain(again) {
            placed = Some(state.place(due, copy));
        }
        if let Some(before) = state.swapped.take()
            && let Some(message) = state.waiting.remove(&before)
        {
            state.place(due, message);
        }
        if verdict.is_swapped {
            state.swapped = placed;
        }
        self.send_due(&mut state, now);
    }

    /// Sends what is due; if too many are kept back, the first of those too.
    fn send_due(&self, state: &mut State, now: Duration) {
        while let Some(first) = state.waiting.first_entry()
            && (first.key().0 <= now || state.waiting.len() > WAITING_MAX)
        {
            let Some((_, message)) = state.waiting.pop_first() else { return };
            // A queue that is not there gets nothing, as a rule whose target was deleted.
            if self.sqs.send(SENDER, &message.queue, &message.body).is_ok() {
                state.sent += 1;
            }
        }
    }

    /// Sends what was kept back when it is due, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let next = lock(&self.state).waiting.first_key_value().map(|((due, _), _)| *due);
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep(due.saturating_sub(self.clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.wake.notified() => {}
                () = stop.cancelled() => return,
            }
            let now = self.clock.now();
            self.send_due(&mut lock(&self.state), now);
        }
    }
}

impl State {
    fn place(&mut self, due: Duration, message: Message) -> Arrival {
        let arrival = (due, self.number);
        self.number += 1;
        self.waiting.insert(arrival, message);
        arrival
    }
}

/// Whether a rule lets this event through that wants what changes the set of tasks to call: those that run, and those
/// that are to stop.
fn is_of_interest(detail: &Value) -> bool {
    let says = |name: &str, status: &str| detail.get(name).and_then(Value::as_str) == Some(status);
    says("lastStatus", "RUNNING") || says("desiredStatus", "STOPPED")
}

/// The event with its envelope. Its id comes from the task and the version, so a duplicate has the same.
fn envelope(place: &Place, detail: &Value, at: Duration, is_float: bool) -> String {
    let (arn, version) = (detail.get("taskArn"), detail.get("version"));
    let name = arn.and_then(Value::as_str).unwrap_or_default();
    let version = version.and_then(Value::as_u64).unwrap_or_default();
    let id = Draw::nth(seed_of(0, name), version).uuid();
    let mut detail = detail.clone();
    if is_float && let Some(version) = detail.get_mut("version") {
        *version = json!(version.as_f64());
    }
    json!({
        "version": "0",
        "id": id,
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": place.account,
        "time": detail::time_in_seconds(at),
        "region": place.region,
        "resources": [arn],
        "detail": detail,
    })
    .to_string()
}
