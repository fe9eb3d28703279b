//! The table of cases: the request, the expected answer, and why. Pure.

use bytes::Bytes;
use http::Method;
use wire::MESSAGE_BYTES_MAX;
use wire::headers::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use wire::signature::TOLERANCE;

use super::sender::{Probe, Sender, TestEvent};
use super::verdict::Good;
use crate::failure::Failure;

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The request, in words.
    pub(super) sends: &'static str,
    pub(super) good: Good,
    /// Why a good receiver answers like that, as a sentence without the full stop.
    pub(super) why: &'static str,
    event: Event,
    make: fn(&Sender, TestEvent) -> Probe,
}

/// Which event a case begins with.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A new event for this task.
    Own,
    /// The event of the first case.
    First,
    /// A new event for another task.
    Elsewhere,
}

/// Older than any receiver should accept.
const LONG_AGO_SECONDS: i64 = 2 * TOLERANCE.as_secs().cast_signed();
/// Twice the size of the largest event.
const HUGE_BYTES: usize = 2 * MESSAGE_BYTES_MAX;

/// The case whose event others send again.
pub(super) const FIRST: &str = "valid";

/// Every case, in the order in which they are sent.
pub(super) static ALL: [Case; 20] = [
    Case {
        name: "valid",
        sends: "a signed event for this task",
        good: Good::Accepts,
        why: "every event of a broadcast looks like this",
        event: Event::Own,
        make: |from, event| from.sign(event),
    },
    Case {
        name: "replay",
        sends: "the same request again",
        good: Good::Accepts,
        why: "the sender may have missed the first answer: answer 2xx again, and do not run the handler again",
        event: Event::First,
        make: |from, event| from.sign(event),
    },
    Case {
        name: "retry",
        sends: "the same event as a later attempt, with a new timestamp and signature",
        good: Good::Accepts,
        why: "only `webhook-id` identifies a repeat; it is the same in every attempt",
        event: Event::First,
        make: |from, event| from.sign(TestEvent { at: event.at - 2, ..event }),
    },
    Case {
        name: "rotation",
        sends: "an event with two signatures; the receiver knows the key of the second",
        good: Good::Accepts,
        why: "during a rotation, a request has one signature for each key: accept any of them",
        event: Event::Own,
        make: |from, event| {
            let header = format!("{} {}", event.signature(&from.unknown_keys), event.signature(&from.keys));
            from.sign(event).with(WEBHOOK_SIGNATURE, &header)
        },
    },
    Case {
        name: "forged",
        sends: "an event signed with an unknown key",
        good: Good::Refuses(401),
        why: "otherwise anyone who reaches the port could send events",
        event: Event::Own,
        make: |from, event| {
            let header = event.signature(&from.unknown_keys);
            from.sign(event).with(WEBHOOK_SIGNATURE, &header)
        },
    },
    Case {
        name: "changed-body",
        sends: "an event with the signature of another one",
        good: Good::Refuses(401),
        why: "the signature must be verified over the raw body",
        event: Event::Own,
        make: |from, event| {
            let other = from.keys.sign(event.id.as_str(), event.at, b"{}");
            from.sign(event).with(WEBHOOK_SIGNATURE, &other)
        },
    },
    Case {
        name: "changed-id",
        sends: "an event whose `webhook-id` is not the one that was signed",
        good: Good::Refuses(401),
        why: "otherwise a recorded event with a new id would count as a new one",
        event: Event::Own,
        make: |from, event| {
            let other = format!("{}x", event.id);
            from.sign(event).with(WEBHOOK_ID, &other)
        },
    },
    Case {
        name: "old",
        sends: "an event that was signed ten minutes ago",
        good: Good::Refuses(401),
        why: "a recorded request must not stay valid: accept at most five minutes",
        event: Event::Own,
        make: |from, event| from.sign(TestEvent { at: event.at - LONG_AGO_SECONDS, ..event }),
    },
    Case {
        name: "future",
        sends: "an event with a timestamp ten minutes in the future",
        good: Good::Refuses(401),
        why: "it could be replayed after the receiver has forgotten its id",
        event: Event::Own,
        make: |from, event| from.sign(TestEvent { at: event.at + LONG_AGO_SECONDS, ..event }),
    },
    Case {
        name: "unsigned",
        sends: "an event without any of the three headers",
        good: Good::Refuses(401),
        why: "missing headers must be an error, or the check has no effect",
        event: Event::Own,
        make: |from, event| {
            let probe = from.sign(event);
            probe.without(WEBHOOK_ID).without(WEBHOOK_TIMESTAMP).without(WEBHOOK_SIGNATURE)
        },
    },
    Case {
        name: "no-id",
        sends: "an event without `webhook-id`",
        good: Good::Refuses(400),
        why: "without it, the receiver cannot recognise a repeat",
        event: Event::Own,
        make: |from, event| from.sign(event).without(WEBHOOK_ID),
    },
    Case {
        name: "no-timestamp",
        sends: "an event without `webhook-timestamp`",
        good: Good::Refuses(400),
        why: "without it, the age of the request is unknown",
        event: Event::Own,
        make: |from, event| from.sign(event).without(WEBHOOK_TIMESTAMP),
    },
    Case {
        name: "no-signature",
        sends: "an event without `webhook-signature`",
        good: Good::Refuses(401),
        why: "without it, the sender is unknown",
        event: Event::Own,
        make: |from, event| from.sign(event).without(WEBHOOK_SIGNATURE),
    },
    Case {
        name: "wrong-task",
        sends: "a signed event for another task",
        good: Good::Misdirected,
        why: "addresses are reused within minutes: 421 makes the notifier look up the task's current address",
        event: Event::Elsewhere,
        make: |from, event| from.sign(event),
    },
    Case {
        name: "wrong-type",
        sends: "a signed event as text/plain",
        good: Good::Refuses(415),
        why: "a receiver that accepts any type also accepts posts from web pages",
        event: Event::Own,
        make: |from, event| from.sign(event).with("content-type", "text/plain"),
    },
    Case {
        name: "malformed",
        sends: "a signed body that is not JSON",
        good: Good::Refuses(400),
        why: "a 5xx would cause retries with the same body",
        event: Event::Own,
        make: |from, event| from.sign(TestEvent { body: Bytes::from_static(b"{\"id\":"), ..event }),
    },
    Case {
        name: "wrong-method",
        sends: "a signed event with PUT",
        good: Good::Refuses(405),
        why: "events are sent with POST",
        event: Event::Own,
        make: |from, event| Probe { method: Method::PUT, ..from.sign(event) },
    },
    Case {
        name: "bare-get",
        sends: "a GET without headers and body",
        good: Good::Refuses(405),
        why: "anyone can send it; only NOTIFY_ME_METHOD=GET needs it",
        event: Event::Own,
        make: |_, _| Probe { method: Method::GET, headers: Vec::new(), body: Bytes::new(), halts: false },
    },
    Case {
        name: "oversized",
        sends: "a signed event of 2 MiB",
        good: Good::RefusesOrHangsUp(413),
        why: "an event has at most 1 MiB, and a body without a limit could fill the memory",
        event: Event::Own,
        make: |from, event| {
            let mut body = event.body.to_vec();
            // White space after the value is still JSON.
            body.resize(HUGE_BYTES, b' ');
            from.sign(TestEvent { body: body.into(), ..event })
        },
    },
    Case {
        name: "slow",
        sends: "half of an event, and then nothing",
        good: Good::GivesUp(408),
        why: "without a time limit, such requests use up all connections",
        event: Event::Own,
        make: |from, event| Probe { halts: true, ..from.sign(event) },
    },
];

impl Case {
    /// The request to send.
    pub(super) fn probe(&self, from: &Sender) -> Result<Probe, Failure> {
        let event = match self.event {
            Event::Own => from.event(self.name, &from.task),
            Event::First => from.event(FIRST, &from.task),
            Event::Elsewhere => from.event(self.name, &format!("{}-another", from.task)),
        };
        Ok((self.make)(from, event?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_repeats_come_after_what_they_repeat() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(ALL[0].name, FIRST);
    }
}
