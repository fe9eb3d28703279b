//! What a receiver is sent, what a good one answers, and why: a table. Pure.

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
    /// What the receiver is sent.
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
    /// One of its own, for this task.
    Own,
    /// That of the first case.
    First,
    /// One of its own, for another task.
    Elsewhere,
}

/// Further from now than any receiver should allow.
const LONG_AGO_SECONDS: i64 = 2 * TOLERANCE.as_secs().cast_signed();
/// Twice what the largest event has.
const HUGE_BYTES: usize = 2 * MESSAGE_BYTES_MAX;

/// The case whose event others send again.
pub(super) const FIRST: &str = "valid";

/// Every case, in the order in which they are sent.
pub(super) static ALL: [Case; 20] = [
    Case {
        name: "valid",
        sends: "an event of ours for this task",
        good: Good::Accepts,
        why: "this is what every broadcast looks like",
        event: Event::Own,
        make: |from, event| from.sign(event),
    },
    Case {
        name: "replay",
        sends: "the same request once more",
        good: Good::Accepts,
        why: "the sender may have missed the first answer: say yes again, and do not run the handler again",
        event: Event::First,
        make: |from, event| from.sign(event),
    },
    Case {
        name: "retry",
        sends: "the same event as a later attempt, with a time and signature of its own",
        good: Good::Accepts,
        why: "an attempt is told from a new event by `webhook-id` alone, which stays the same",
        event: Event::First,
        make: |from, event| from.sign(TestEvent { at: event.at - 2, ..event }),
    },
    Case {
        name: "rotation",
        sends: "an event with two signatures, of which the second is by a key that the receiver knows",
        good: Good::Accepts,
        why: "while keys rotate a request carries one signature for each of them: any of them will do",
        event: Event::Own,
        make: |from, event| {
            let header = format!("{} {}", event.signature(&from.strangers), event.signature(&from.keys));
            from.sign(event).with(WEBHOOK_SIGNATURE, &header)
        },
    },
    Case {
        name: "forged",
        sends: "an event that is signed with a key that nobody knows",
        good: Good::Refuses(401),
        why: "otherwise whoever reaches the port can send events",
        event: Event::Own,
        make: |from, event| {
            let header = event.signature(&from.strangers);
            from.sign(event).with(WEBHOOK_SIGNATURE, &header)
        },
    },
    Case {
        name: "changed-body",
        sends: "an event with the signature of another one",
        good: Good::Refuses(401),
        why: "the signature must be checked over the body as it arrived",
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
        why: "a recorded event under a new id would pass as one that was not seen before",
        event: Event::Own,
        make: |from, event| {
            let other = format!("{}x", event.id);
            from.sign(event).with(WEBHOOK_ID, &other)
        },
    },
    Case {
        name: "old",
        sends: "an event of ours that was signed ten minutes ago",
        good: Good::Refuses(401),
        why: "what was recorded must not be worth anything later: allow five minutes",
        event: Event::Own,
        make: |from, event| from.sign(TestEvent { at: event.at - LONG_AGO_SECONDS, ..event }),
    },
    Case {
        name: "future",
        sends: "an event of ours that is signed for ten minutes from now",
        good: Good::Refuses(401),
        why: "it could be sent again long after its id was forgotten",
        event: Event::Own,
        make: |from, event| from.sign(TestEvent { at: event.at + LONG_AGO_SECONDS, ..event }),
    },
    Case {
        name: "unsigned",
        sends: "an event without any of the three headers",
        good: Good::Refuses(401),
        why: "a check that only looks at headers that are there checks nothing",
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
        why: "without it, a repeat cannot be recognised",
        event: Event::Own,
        make: |from, event| from.sign(event).without(WEBHOOK_ID),
    },
    Case {
        name: "no-timestamp",
        sends: "an event without `webhook-timestamp`",
        good: Good::Refuses(400),
        why: "without it, its age cannot be known",
        event: Event::Own,
        make: |from, event| from.sign(event).without(WEBHOOK_TIMESTAMP),
    },
    Case {
        name: "no-signature",
        sends: "an event without `webhook-signature`",
        good: Good::Refuses(401),
        why: "nobody says that it is ours",
        event: Event::Own,
        make: |from, event| from.sign(event).without(WEBHOOK_SIGNATURE),
    },
    Case {
        name: "wrong-task",
        sends: "an event of ours for another task",
        good: Good::Misdirected,
        why: "addresses are used again within minutes: 421 makes the notifier look where that task is now",
        event: Event::Elsewhere,
        make: |from, event| from.sign(event),
    },
    Case {
        name: "wrong-type",
        sends: "an event of ours as text/plain",
        good: Good::Refuses(415),
        why: "whoever takes any type for JSON lets web pages post to it",
        event: Event::Own,
        make: |from, event| from.sign(event).with("content-type", "text/plain"),
    },
    Case {
        name: "malformed",
        sends: "a signed body that is no JSON",
        good: Good::Refuses(400),
        why: "an answer of 5xx would bring the same body again and again",
        event: Event::Own,
        make: |from, event| from.sign(TestEvent { body: Bytes::from_static(b"{\"id\":"), ..event }),
    },
    Case {
        name: "wrong-method",
        sends: "an event of ours with PUT",
        good: Good::Refuses(405),
        why: "events come with POST",
        event: Event::Own,
        make: |from, event| Probe { method: Method::PUT, ..from.sign(event) },
    },
    Case {
        name: "bare-get",
        sends: "a GET without anything",
        good: Good::Refuses(405),
        why: "anybody can send one; only NOTIFY_ME_METHOD=GET asks for it",
        event: Event::Own,
        make: |_, _| Probe { method: Method::GET, headers: Vec::new(), body: Bytes::new(), halts: false },
    },
    Case {
        name: "oversized",
        sends: "an event of ours with 2 MiB",
        good: Good::RefusesOrHangsUp(413),
        why: "no event has more than 1 MiB, and what is read without a limit fills the memory",
        event: Event::Own,
        make: |from, event| {
            let mut body = event.body.to_vec();
            // White space after the value: still JSON.
            body.resize(HUGE_BYTES, b' ');
            from.sign(TestEvent { body: body.into(), ..event })
        },
    },
    Case {
        name: "slow",
        sends: "half an event, and then nothing",
        good: Good::GivesUp(408),
        why: "connections that are waited for without end use up all that there are",
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
