//! The findings, as text and as records.

use std::time::Duration;

use serde::Serialize;

use super::cases::Case;
use super::verdict::Reaction;
use crate::render::format::{count, duration};
use crate::render::style::{BAD, DIM, GOOD, PLAIN, UNSURE};
use crate::render::table::{Cell, Table};

/// The result of one case.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) case: &'static Case,
    /// `None` if it was not sent.
    pub(super) seen: Option<(Reaction, Duration)>,
}

/// Whether a receiver passed a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// The expected answer.
    Good,
    /// Another answer.
    Bad,
    /// Not sent.
    Unchecked,
}

impl Finding {
    pub(super) fn verdict(&self) -> Verdict {
        match &self.seen {
            None => Verdict::Unchecked,
            Some((reaction, _)) if self.case.good.is_met_by(reaction) => Verdict::Good,
            Some(_) => Verdict::Bad,
        }
    }
}

/// A finding as scripts read it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Record {
    case: &'static str,
    verdict: Option<Verdict>,
    /// The request, in words.
    sends: &'static str,
    /// The expected answer.
    good: String,
    why: &'static str,
    /// What this receiver did; `None` if the case was not sent.
    did: Option<String>,
    status: Option<u16>,
    latency_ms: Option<f64>,
}

pub(super) fn record(finding: &Finding) -> Record {
    let Case { name, sends, good, why, .. } = finding.case;
    let status = match &finding.seen {
        Some((Reaction::Answered { status, .. }, _)) => Some(status.as_u16()),
        _ => None,
    };
    Record {
        case: name,
        verdict: Some(finding.verdict()),
        sends,
        good: good.to_string(),
        why,
        did: finding.seen.as_ref().map(|(reaction, _)| reaction.to_string()),
        status,
        latency_ms: finding.seen.as_ref().map(|(_, took)| took.as_secs_f64() * 1000.0),
    }
}

/// The last line of the result.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    url: String,
    good: usize,
    bad: usize,
    unchecked: usize,
}

impl Summary {
    pub(super) fn new(url: String, findings: &[Finding]) -> Self {
        let number = |verdict| findings.iter().filter(|finding| finding.verdict() == verdict).count();
        Self {
            url,
            good: number(Verdict::Good),
            bad: number(Verdict::Bad),
            unchecked: number(Verdict::Unchecked),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { good, bad, unchecked, .. } = self;
        let unchecked = if *unchecked > 0 { format!(", {unchecked} not checked") } else { String::new() };
        let cases = count(good + bad + self.unchecked, "case");
        format!("{cases}: {GOOD}{good} good{GOOD:#}, {BAD}{bad} bad{BAD:#}{unchecked}")
    }
}

/// The findings as text. The expected answer and the reason are below each wrong answer; with `in_full`, below each
/// answer.
pub(super) fn text(findings: &[Finding], columns: Option<usize>, in_full: bool) -> String {
    let mut table = Table::default();
    for finding in findings {
        let (word, style) = match finding.verdict() {
            Verdict::Good => ("good", GOOD),
            Verdict::Bad => ("bad", BAD),
            Verdict::Unchecked => ("-", UNSURE),
        };
        let Case { name, sends, good, why, .. } = finding.case;
        let did = match &finding.seen {
            None => "not sent".to_owned(),
            Some((Reaction::Answered { status, text }, took)) => {
                let text = text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                format!("{status} in {}{text}", duration(*took))
            }
            Some((reaction, _)) => reaction.to_string(),
        };
        table.row(0, [Cell::new(word, style), Cell::new(*name, PLAIN), Cell::from(did)]);
        if in_full || finding.verdict() == Verdict::Bad {
            table.row(3, [Cell::new(format!("sent: {sends}"), DIM)]);
            table.row(3, [Cell::new(format!("a good receiver {good}; {why}"), DIM)]);
        }
    }
    table.render(columns)
}
