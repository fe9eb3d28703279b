//! Reads the bodies of the registry queue: task state change events of ECS, and requests of this program. Pure.
//!
//! Sources: Amazon ECS Developer Guide, "Amazon ECS task state change events"; the schema `aws.ecs@ECSTaskStateChange` of
//! EventBridge. ECS adds fields to its events without notice, so unknown ones are ignored.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::row::{BODY_BYTES_MAX, Row, Seen, VERSION_GONE};
use crate::aws::ecs::task_of_event;
use crate::base::text::printable;
use crate::model::arn::{ClusterArn, TaskArn, is_every_cluster};
use crate::model::{RUNNING, TaskState};

/// The source of the events, and their kind.
const SOURCE: &str = "aws.ecs";
const KIND: &str = "ECS Task State Change";

/// The most characters of outside text in an error.
const SHOWN_CHARS_MAX: usize = 200;
/// The longest status; the longest of ECS, `DEPROVISIONING`, has 14 characters.
const STATUS_CHARS_MAX: usize = 32;
/// The longest ARN of a task: the sort key of its row.
const TASK_BYTES_MAX: usize = 1_000;
/// The most clusters of a request for sweeps.
pub const SWEEPS_MAX: usize = 100;
/// The most tasks of a request about tasks: those of one `DescribeTasks`.
pub const LOOKS_MAX: usize = 100;

/// A message of the registry queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryMessage {
    /// ECS said something about a task.
    Seen(Box<Seen>),
    /// A request of this program or of a schedule.
    Request(RegistryRequest),
}

/// A request: the body is `{"registry": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryRequest {
    /// Sweep these clusters, by name or ARN; `*` means every cluster of the setting.
    Sweep(Vec<String>),
    /// Look at these tasks of a cluster, which a sweep has found and no event has reported.
    Look {
        /// ARN of the cluster.
        cluster: String,
        /// ARNs of the tasks.
        tasks: Vec<String>,
    },
    /// Read what a broadcast needs to know of these tasks besides their rows: task definitions and addresses of hosts.
    Learn {
        /// ARN of the cluster.
        cluster: String,
        /// ARNs of the tasks.
        tasks: Vec<String>,
        /// How often the time was too short for all of them.
        #[serde(default)]
        attempt: u32,
    },
}

/// Why a body of the registry queue cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskEventError {
    /// It is neither an event nor a request.
    #[error(
        "the body is neither an event of EventBridge nor a request such as `{{\"registry\":{{\"sweep\":[\"*\"]}}}}`: {problem}"
    )]
    NotAnEvent {
        /// What is wrong with it.
        problem: String,
    },
    /// It is an event of something else.
    #[error(
        "the event is `{kind}` of `{source_name}`, not `{KIND}` of `{SOURCE}`: correct the pattern of the rule"
    )]
    OtherEvent {
        /// Its kind.
        kind: String,
        /// Its source.
        source_name: String,
    },
    /// Its detail is not that of a task state change.
    #[error("the detail of the event cannot be read: {problem}")]
    Detail {
        /// What is wrong with it.
        problem: String,
    },
    /// A field is missing or wrong.
    #[error("the event of a task has no valid `{field}`")]
    Field {
        /// Name of the field.
        field: &'static str,
    },
    /// The task is of another cluster, account or region than the event says.
    #[error("task {task} cannot be in cluster {cluster}")]
    OtherCluster {
        /// ARN of the task.
        task: String,
        /// ARN of the cluster.
        cluster: String,
    },
    /// The row would be too large.
    #[error(
        "the task has too many containers: its row would have {bytes} bytes, and at most {BODY_BYTES_MAX} are kept"
    )]
    TooLarge {
        /// Size of the row's body.
        bytes: usize,
    },
    /// A request names too many clusters or tasks, or none.
    #[error("the request has {named} {what}; 1 to {most} are possible")]
    Count {
        /// `clusters` or `tasks`.
        what: &'static str,
        /// How many it names.
        named: usize,
        /// The limit.
        most: usize,
    },
}

// The errors of JSON repeat names that were read, so they are escaped.
#[expect(clippy::needless_pass_by_value, reason = "they are passed to `map_err`")]
impl TaskEventError {
    fn not_an_event(error: serde_json::Error) -> Self {
        Self::NotAnEvent { problem: shown(&error.to_string()) }
    }

    fn detail(error: serde_json::Error) -> Self {
        Self::Detail { problem: shown(&error.to_string()) }
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "detail-type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Times<'a> {
    #[serde(borrow, default)]
    updated_at: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    registry: RegistryRequest,
}

/// Whether a body claims to be a request.
#[derive(Deserialize)]
struct Claim {
    #[serde(default)]
    registry: Option<serde::de::IgnoredAny>,
}

impl RegistryRequest {
    /// The body of its message.
    pub fn to_body(&self) -> String {
        // Strings: they can always be written.
        serde_json::to_string(&Request { registry: self.clone() }).unwrap_or_default()
    }

    fn checked(self) -> Result<Self, TaskEventError> {
        let (what, named, most) = match &self {
            Self::Sweep(clusters) => ("clusters", clusters.len(), SWEEPS_MAX),
            Self::Look { tasks, .. } | Self::Learn { tasks, .. } => ("tasks", tasks.len(), LOOKS_MAX),
        };
        if (1..=most).contains(&named) { Ok(self) } else { Err(TaskEventError::Count { what, named, most }) }
    }
}

/// Reads a body that SQS received at `queued`, in milliseconds since 1970. No event is from a later time than that.
///
/// # Errors
///
/// [`TaskEventError`]: the body would not be readable later either.
pub fn read(body: &str, queued: u64) -> Result<RegistryMessage, TaskEventError> {
    let claim = serde_json::from_str::<Claim>(body).map_err(TaskEventError::not_an_event)?;
    if claim.registry.is_some() {
        let request: Request = serde_json::from_str(body).map_err(TaskEventError::not_an_event)?;
        return request.registry.checked().map(RegistryMessage::Request);
    }
    let event: Event<'_> = serde_json::from_str(body).map_err(TaskEventError::not_an_event)?;
    if event.source != SOURCE || event.kind != KIND {
        let [kind, source_name] = [event.kind, event.source].map(|text| shown(&text));
        return Err(TaskEventError::OtherEvent { kind, source_name });
    }
    let seen = seen(&event, queued)?;
    Ok(RegistryMessage::Seen(Box::new(seen)))
}

fn seen(event: &Event<'_>, queued: u64) -> Result<Seen, TaskEventError> {
    let detail = event.detail.get();
    let field = |field| TaskEventError::Field { field };
    let task = task_of_event(detail).map_err(TaskEventError::detail)?;
    let mut task = task.ok_or_else(|| field("taskArn"))?;
    let cluster = place(&task)?.to_owned();
    if !(1..VERSION_GONE).contains(&task.version) {
        return Err(field("version"));
    }
    for (name, status) in [("lastStatus", &task.last_status), ("desiredStatus", &task.desired_status)] {
        if !status.as_deref().is_some_and(is_status) {
            return Err(field(name));
        }
    }
    if task.revision.as_deref().is_none_or(str::is_empty) {
        return Err(field("taskDefinitionArn"));
    }
    let times: Times<'_> = serde_json::from_str(detail).map_err(TaskEventError::detail)?;
    let time = times.updated_at.as_deref().and_then(milliseconds);
    let time = time.or_else(|| event.time.as_deref().and_then(milliseconds));
    let at = time.ok_or_else(|| field("updatedAt"))?.min(queued);
    task.cluster = Some(cluster);
    catch_up(&mut task);
    let seen = Seen { task, at };
    let bytes = Row::of(&seen).body().len();
    if bytes > BODY_BYTES_MAX { Err(TaskEventError::TooLarge { bytes }) } else { Ok(seen) }
}

/// The cluster of a task. It is never derived from the task's ARN: old ones do not name it.
fn place(task: &TaskState) -> Result<&str, TaskEventError> {
    let field = |field| TaskEventError::Field { field };
    let arn = TaskArn::parse(&task.arn).filter(|_| task.arn.len() <= TASK_BYTES_MAX);
    let arn = arn.ok_or_else(|| field("taskArn"))?;
    let text = task.cluster.as_deref().unwrap_or_default();
    let cluster = ClusterArn::parse(text).filter(|_| !is_every_cluster(text));
    let cluster = cluster.ok_or_else(|| field("clusterArn"))?;
    let is_same = arn.arn.account == cluster.account
        && arn.arn.region == cluster.region
        && arn.cluster.is_none_or(|name| name == cluster.name);
    if is_same {
        Ok(text)
    } else {
        Err(TaskEventError::OtherCluster { task: shown(&task.arn), cluster: shown(text) })
    }
}

/// The event that says that a task runs may say that its containers are pending: their status is behind the task's.
fn catch_up(task: &mut TaskState) {
    if !task.is_running() {
        return;
    }
    for container in &mut task.containers {
        if container.last_status.as_deref() == Some("PENDING") {
            container.last_status = Some(RUNNING.to_owned());
        }
    }
}

fn is_status(text: &str) -> bool {
    (1..=STATUS_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// Milliseconds since 1970 of a time such as `2026-11-24T09:30:00.123Z`; `None` before 1970.
fn milliseconds(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

fn shown(text: &str) -> String {
    printable(text, SHOWN_CHARS_MAX)
}

#[cfg(test)]
mod tests;
