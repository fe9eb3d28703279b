//! The events of a broadcast as JSON lines for scripts. The names are part of the interface.

use serde::Serialize;
use std::num::NonZeroU8;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::{OffsetDateTime, UtcOffset};

use super::{Counts, Line, Report};
use crate::model::ProgressEvent;
use crate::model::latency::millis;

/// Times to the millisecond, all of the same length, so that they sort as text.
const MILLIS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// One event as a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event<'a> {
    /// Time in UTC to the millisecond, as in RFC 3339; `null` if unknown.
    pub time: Option<String>,
    /// The event; its kind is the field `kind`.
    #[serde(flatten)]
    pub what: What<'a>,
}

/// The kinds of events. Each has the broadcast; those of one container have every column of its [`Line`] in the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say what it is")]
pub enum What<'a> {
    /// Stage 1 is done.
    Services {
        broadcast: &'a str,
        /// Parts of the scope for task discovery; a `tasks` event follows for each.
        parts: usize,
        /// Services without an opted-in container.
        #[serde(rename = "bystanders")]
        not_targeted: usize,
    },
    /// Stage 2 is done with one part of the scope. An `expected` event follows for each endpoint.
    Tasks {
        broadcast: &'a str,
        service: &'a str,
        endpoints: usize,
        /// Containers and tasks that are not targeted.
        #[serde(rename = "bystanders")]
        not_targeted: usize,
    },
    /// An endpoint will be called. A `settled` event follows, or `skipped` if the broadcast is cancelled.
    Expected(Line<'a>),
    /// A wave of the fleet begins.
    Wave {
        broadcast: &'a str,
        wave: u16,
        waves: u16,
        /// Containers that it calls.
        containers: usize,
    },
    /// An opted-in container is not called.
    Skipped(Line<'a>),
    /// An attempt failed, and another follows.
    Retrying {
        /// The container, the reason, and the `attempts` so far.
        #[serde(flatten)]
        line: Line<'a>,
        /// Milliseconds until the next attempt.
        wait_ms: f64,
    },
    /// A delivery ended.
    Settled(Line<'a>),
    /// Events that were dropped because the reader was too slow.
    Missed { events: u64 },
    /// The counts of a broadcast, as read from a ledger.
    Counts {
        broadcast: &'a str,
        /// Whether it has ended.
        complete: bool,
        /// All opted-in containers that are known.
        total: usize,
        /// The numbers by outcome.
        #[serde(flatten)]
        counts: Counts,
    },
}

impl<'a> Event<'a> {
    fn new(what: What<'a>, time: Option<OffsetDateTime>) -> Self {
        // RFC 3339 allows four digits for the year.
        let time = time.and_then(|time| time.to_offset(UtcOffset::UTC).format(&Iso8601::<MILLIS>).ok());
        Self { time, what }
    }

    /// This number of events was dropped.
    pub fn missed(events: u64, time: Option<OffsetDateTime>) -> Self {
        Self::new(What::Missed { events }, time)
    }

    /// The counts of a broadcast.
    pub fn counts(report: &'a Report, complete: bool, time: Option<OffsetDateTime>) -> Self {
        let (broadcast, counts) = (report.broadcast().as_str(), report.counts());
        Self::new(What::Counts { broadcast, complete, total: counts.total(), counts }, time)
    }
}

/// A progress event as lines: one, and one more for each expected endpoint.
pub fn events(event: &ProgressEvent, time: Option<OffsetDateTime>) -> Vec<Event<'_>> {
    let event_of = |what| Event::new(what, time);
    // Progress has no answers: it may be in a log.
    let of = |delivery| Line { answer: None, ..Line::of_delivery(delivery, Some(event.broadcast())) };
    let broadcast = event.broadcast().as_str();
    let first = match event {
        ProgressEvent::Services { parts, not_targeted, .. } => {
            What::Services { broadcast, parts: parts.len(), not_targeted: not_targeted.len() }
        }
        ProgressEvent::Tasks { service, endpoints, not_targeted, .. } => {
            let (endpoints, not_targeted) = (endpoints.len(), not_targeted.len());
            What::Tasks { broadcast, service, endpoints, not_targeted }
        }
        ProgressEvent::Wave { wave, waves, containers, .. } => {
            What::Wave { broadcast, wave: *wave, waves: *waves, containers: *containers }
        }
        ProgressEvent::Skipped { delivery, .. } => What::Skipped(of(delivery)),
        ProgressEvent::Retrying { delivery, wait, .. } => {
            What::Retrying { line: of(delivery), wait_ms: millis(*wait) }
        }
        ProgressEvent::Settled { delivery, .. } => What::Settled(of(delivery)),
    };
    let endpoints =
        if let ProgressEvent::Tasks { endpoints, .. } = event { endpoints.as_slice() } else { &[] };
    let expected = endpoints
        .iter()
        .map(|endpoint| What::Expected(Line { broadcast: Some(broadcast), ..Line::of_endpoint(endpoint) }));
    std::iter::once(first).chain(expected).map(event_of).collect()
}
