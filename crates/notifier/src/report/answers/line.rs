//! One asked container as scripts read it, and the summary. The names and their order are part of the interface.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use wire::BroadcastId;

use super::{AnswerValue, Group, Numbers};
use crate::model::{Cause, Delivery, Outcome};
use crate::report::{Line, Summary};

/// One asked container: the columns of [`Line`], and the answer.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the fields of `Line`, with their documentation")]
pub struct AnswerLine<'a> {
    pub broadcast: Option<&'a str>,
    pub account: Option<&'a str>,
    pub region: Option<&'a str>,
    pub cluster: Option<&'a str>,
    pub service: Option<&'a str>,
    pub task: Option<&'a str>,
    pub container: Option<&'a str>,
    pub address: Option<SocketAddr>,
    pub outcome: Option<Outcome>,
    pub reason: Option<Cow<'a, str>>,
    pub attempts: Option<u32>,
    pub status: Option<u16>,
    pub latency_ms: Option<f64>,
    pub cause: Option<Cause>,
    pub advice: Option<&'static str>,
    /// The answer, or the part of it that was asked for. JSON; in CSV its text.
    pub answer: Option<Json<'a>>,
    /// Bytes of the whole answer, at most the limit.
    pub answer_bytes: Option<usize>,
    /// Whether the answer was longer than the limit.
    pub truncated: Option<bool>,
    pub zone: Option<&'a str>,
}

/// An answer with its size.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The part that is compared.
    pub value: &'a AnswerValue,
    /// Bytes of the whole answer, at most the limit.
    pub bytes: usize,
}

impl<'a> AnswerLine<'a> {
    /// A container, with its answer if it gave one. `as_text`: for CSV, which has no nested values.
    pub fn of(
        delivery: &'a Delivery,
        broadcast: &'a BroadcastId,
        answer: Option<Measured<'a>>,
        as_text: bool,
    ) -> Self {
        let Line {
            broadcast,
            account,
            region,
            cluster,
            service,
            task,
            container,
            address,
            outcome,
            reason,
            attempts,
            status,
            latency_ms,
            cause,
            advice,
            zone,
            ..
        } = Line::of_delivery(delivery, Some(broadcast));
        let json = answer.and_then(|answer| answer.value.as_json());
        Self {
            broadcast,
            account,
            region,
            cluster,
            service,
            task,
            container,
            address,
            outcome,
            reason,
            attempts,
            status,
            latency_ms,
            cause,
            advice,
            answer: json.map(|json| Json { json: Cow::Borrowed(json), as_text }),
            answer_bytes: answer.map(|answer| answer.bytes),
            truncated: answer.map(|answer| answer.value.is_cut()),
            zone,
        }
    }
}

/// Canonical JSON, written as the value that it is, or as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json<'a> {
    json: Cow<'a, str>,
    as_text: bool,
}

impl Json<'static> {
    /// An answer that a ledger has kept. Whoever can write to the ledger may have changed it.
    pub(in crate::report) fn kept(answer: &str) -> Option<Self> {
        let value = AnswerValue::of(answer, false, None);
        Some(Self { json: Cow::Owned(value.as_json()?.to_owned()), as_text: false })
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.as_text {
            return serializer.serialize_str(&self.json);
        }
        let raw: &RawValue = serde_json::from_str(&self.json).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// One group in the summary.
#[derive(Clone, Debug, Serialize)]
pub struct GroupLine<'a> {
    /// The answer; `null` also where it has no body, or not the part that was asked for.
    pub value: Option<Json<'a>>,
    /// How many containers gave it.
    pub count: usize,
    /// The same by service, revision, zone, cluster or account.
    pub by: &'a BTreeMap<String, usize>,
    /// Whether there is no value at all, as opposed to the JSON value `null`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// Whether the answers were longer than the limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// ARNs of the first tasks that gave it, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<&'a str>>,
}

impl<'a> GroupLine<'a> {
    pub(super) fn of(value: &'a AnswerValue, group: &'a Group, names_tasks: bool) -> Self {
        let json = value.as_json();
        let tasks = || group.members.iter().map(|member| member.task.as_str()).collect();
        Self {
            value: json.map(|json| Json { json: Cow::Borrowed(json), as_text: false }),
            count: group.count,
            by: &group.by,
            missing: json.is_none(),
            truncated: value.is_cut(),
            tasks: names_tasks.then(tasks),
        }
    }
}

/// The line that closes the answers for scripts.
#[derive(Clone, Debug, Serialize)]
pub struct AnswersSummary<'a> {
    /// As of a broadcast.
    #[serde(flatten)]
    pub summary: Summary<'a>,
    /// Groups of equal answers, the largest first.
    pub answers: Vec<GroupLine<'a>>,
    /// Distinct answers.
    pub distinct: usize,
    /// Answers in no group, because there were too many distinct ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ungrouped: Option<usize>,
    /// Containers that could be asked.
    pub asked: usize,
    /// Containers that answered.
    pub answered: usize,
    /// Containers whose answer is the expected one; without an expectation, the most frequent one.
    pub agreed: usize,
    /// The distribution of the answers that are numbers, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// How often the fleet was asked, if until it agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
}
