//! The answers of a container, and the expected outcome of a delivery to it.

use std::collections::BTreeMap;

use notifier::model::Outcome;
use simulator::fleet::Answer;

use crate::world::Draw;

/// How long one attempt may take in these worlds, in milliseconds.
pub(crate) const TIMEOUT_MS: u64 = 3_000;

/// The answers of a container in order; the last one repeats.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) answers: Vec<Answer>,
    /// The outcome of a delivery if the task does not stop.
    pub(crate) ends: Outcome,
}

fn status(status: u16) -> Answer {
    Answer { status, ..Answer::default() }
}

fn with(status: u16, name: &str, value: &str) -> Answer {
    Answer { status, headers: BTreeMap::from([(name.to_owned(), value.to_owned())]), ..Answer::default() }
}

impl Script {
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        match draw.weighted(&[46, 27, 8, 10, 3, 6]) {
            0 => Self::then(vec![], accepts(draw), Outcome::Delivered),
            1 => Self::then(failures(draw), accepts(draw), Outcome::Delivered),
            2 => Self::then(vec![asks_to_wait(draw)], accepts(draw), Outcome::Delivered),
            3 => Self::then(failures(draw), refuses(draw), Outcome::Rejected),
            4 => Self::then(failures(draw), status(410), Outcome::Gone),
            _ => Self::then(vec![], never(draw), Outcome::Failed),
        }
    }

    /// A script that always accepts.
    pub(crate) fn accepting() -> Self {
        Self::then(vec![], status(200), Outcome::Delivered)
    }

    /// One that always refuses.
    pub(crate) fn refusing() -> Self {
        Self::then(vec![], status(403), Outcome::Rejected)
    }

    /// One that is never there.
    pub(crate) fn absent() -> Self {
        Self::then(vec![], status(500), Outcome::Failed)
    }

    fn then(mut first: Vec<Answer>, last: Answer, ends: Outcome) -> Self {
        first.push(last);
        Self { answers: first, ends }
    }
}

/// Some answer that means yes, however odd.
fn accepts(draw: &mut Draw) -> Answer {
    match draw.weighted(&[50, 6, 6, 6, 6, 6, 6, 4]) {
        0 => status([200, 201, 202, 204][draw.below(4)]),
        1 => Answer { body: "\u{0}\u{7}\u{1b}[31mgarbage \u{202e}\u{feff}".to_owned(), ..status(200) },
        2 => Answer { body_bytes: Some(3 << 20), ..status(200) },
        3 => Answer { body_bytes: Some(5), claimed_bytes: Some(100_000), ..status(200) },
        4 => Answer { delay_ms: draw.between(50, 1_500), ..status(202) },
        5 => with(200, "retry-after", "120"),
        6 => with(200, "location", "http://169.254.169.254/latest/meta-data"),
        _ => with(299, "content-type", "\u{e9}nonsense"),
    }
}

/// Up to four answers that mean: not now.
fn failures(draw: &mut Draw) -> Vec<Answer> {
    (0..draw.between(0, 4)).map(|_| fails(draw)).collect()
}

fn fails(draw: &mut Draw) -> Answer {
    match draw.below(7) {
        0 | 1 => status([500, 502, 503, 504, 599][draw.below(5)]),
        2 => status([408, 425, 429][draw.below(3)]),
        3 => Answer { reset: true, ..Answer::default() },
        4 => Answer { hang: true, ..Answer::default() },
        5 => Answer { delay_ms: TIMEOUT_MS + draw.between(2_000, 8_000), ..status(500) },
        _ => status(421),
    }
}

/// A temporary failure with a `Retry-After`.
fn asks_to_wait(draw: &mut Draw) -> Answer {
    let wishes = [
        "0",
        "1",
        "4",
        "12",
        "soon",
        "-1",
        "1.5",
        "",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "99999999999999999999999",
    ];
    // The last two ask for ever, which costs a quarter of an hour of a world's time.
    let wish = wishes[draw.weighted(&[8, 8, 8, 8, 8, 8, 8, 8, 8, 2, 2])];
    with([429, 503][draw.below(2)], "retry-after", wish)
}

/// Some answer that means no.
fn refuses(draw: &mut Draw) -> Answer {
    match draw.below(3) {
        0 => status([400, 401, 403, 404, 405, 413, 422, 451][draw.below(8)]),
        1 => with([301, 302, 307, 308][draw.below(4)], "location", "http://127.0.0.1:1/elsewhere"),
        _ => Answer { body_bytes: Some(1 << 20), ..with(404, "retry-after", "1") },
    }
}

/// Never yes, never no.
fn never(draw: &mut Draw) -> Answer {
    match draw.below(6) {
        0 => status(503),
        1 => Answer { reset: true, ..Answer::default() },
        2 => Answer { hang: true, ..Answer::default() },
        3 => status(421),
        // More head than is read.
        4 => with(200, "x-lie", &"x".repeat(64 * 1024)),
        _ => with(429, "retry-after", "2"),
    }
}
