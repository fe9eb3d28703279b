//! What happens during a broadcast, as scripts read it: JSON lines whose names are promises.

use serde::Serialize;
use std::num::NonZeroU8;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::{OffsetDateTime, UtcOffset};

use super::{Counts, Line, Report};
use crate::model::ProgressEvent;
use crate::model::latency::millis;

/// Times to the millisecond: all of the same length, so that they sort as text.
const MILLIS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// One thing that happened, as a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event<'a> {
    /// When, in UTC to the millisecond, as in RFC 3339; `null` where nobody looked at a clock.
    pub time: Option<String>,
    /// What; its kind is the field `kind`.
    #[serde(flatten)]
    pub what: What<'a>,
}

/// What happened. Each names the broadcast; those of one container have every column of its [`Line`] in the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What<'a> {
    /// Stage 1 is done.
    Services {
        /// The broadcast.
        broadcast: &'a str,
        /// Parts of the scope whose tasks are looked for; a `tasks` follows for each.
        parts: usize,
        /// Services that nobody asked to call.
        #[serde(rename = "bystanders")]
        not_targeted: usize,
    },
    /// Stage 2 is done with one part of the scope. An `expected` follows for each endpoint.
    Tasks {
        /// The broadcast.
        broadcast: &'a str,
        /// Name of the part's service.
        service: &'a str,
        /// How many are to be called.
        endpoints: usize,
        /// Containers and tasks that nobody asked to call.
        #[serde(rename = "bystanders")]
        not_targeted: usize,
    },
    /// An endpoint is to be called. A `settled` follows, or a `skipped` when the broadcast is cancelled.
    Expected(Line<'a>),
    /// An opted-in container is not called.
    Skipped(Line<'a>),
    /// An attempt failed, and another follows.
    Retrying {
        /// Who, and what went wrong; `attempts` so far.
        #[serde(flatten)]
        line: Line<'a>,
        /// Milliseconds until the next attempt.
        wait_ms: f64,
    },
    /// A delivery ended.
    Settled(Line<'a>),
    /// Events that are not among the lines, because they were read too slowly.
    Missed {
        /// How many.
        events: u64,
    },
    /// How a broadcast stands, as read from a ledger.
    Counts {
        /// The broadcast.
        broadcast: &'a str,
        /// Whether it has ended.
        complete: bool,
        /// All opted-in containers that are known.
        total: usize,
        /// How many came to what.
        #[serde(flatten)]
        counts: Counts,
    },
}

impl<'a> Event<'a> {
    fn new(what: What<'a>, time: Option<OffsetDateTime>) -> Self {
        // What has more than four digits in its year is no time of ours.
        let time = time.and_then(|time| time.to_offset(UtcOffset::UTC).format(&Iso8601::<MILLIS>).ok());
        Self { time, what }
    }

    /// So many events are not among the lines.
    #[must_use]
    pub fn missed(events: u64, time: Option<OffsetDateTime>) -> Self {
        Self::new(What::Missed { events }, time)
    }

    /// How a broadcast stands.
    #[must_use]
    pub fn counts(report: &'a Report, complete: bool, time: Option<OffsetDateTime>) -> Self {
        let (broadcast, counts) = (report.broadcast().as_str(), report.counts());
        Self::new(What::Counts { broadcast, complete, total: counts.total(), counts }, time)
    }
}

/// A progress event as lines, in the order in which they are written: one, and one more for each expected endpoint.
#[must_use]
pub fn events(event: &ProgressEvent, time: Option<OffsetDateTime>) -> Vec<Event<'_>> {
    let line = |what| Event::new(what, time);
    match event {
        ProgressEvent::Services { broadcast, parts, not_targeted } => vec![line(What::Services {
            broadcast: broadcast.as_str(),
            parts: parts.len(),
            not_targeted: not_targeted.len(),
        })],
        ProgressEvent::Tasks { broadcast, service, endpoints, not_targeted, .. } => {
            let found = What::Tasks {
                broadcast: broadcast.as_str(),
                service,
                endpoints: endpoints.len(),
                not_targeted: not_targeted.len(),
            };
            let expected = endpoints.iter().map(|endpoint| {
                What::Expected(Line { broadcast: Some(broadcast.as_str()), ..Line::of_endpoint(endpoint) })
            });
            std::iter::once(found).chain(expected).map(line).collect()
        }
        ProgressEvent::Skipped { broadcast, delivery } => {
            vec![line(What::Skipped(Line::of_delivery(delivery, broadcast)))]
        }
        ProgressEvent::Retrying { broadcast, delivery, wait } => {
            let retry =
                What::Retrying { line: Line::of_delivery(delivery, broadcast), wait_ms: millis(*wait) };
            vec![line(retry)]
        }
        ProgressEvent::Settled { broadcast, delivery } => {
            vec![line(What::Settled(Line::of_delivery(delivery, broadcast)))]
        }
    }
}
