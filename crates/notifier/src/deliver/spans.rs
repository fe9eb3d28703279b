//! The span of one request, by the semantic conventions of HTTP clients. Pure.
//!
//! Source: OpenTelemetry semantic conventions, "HTTP client span" (stable).

use std::time::Duration;

use ::http::StatusCode;
use time::OffsetDateTime;
use wire::Broadcast;

use super::AttemptError;
use crate::base::spans::{Span, SpanKind, SpanValue};
use crate::base::text::printable;
use crate::base::trace::{SpanId, TraceContext};
use crate::model::Endpoint;

/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 200;

/// A request that was made.
pub(super) struct Sent<'a> {
    pub(super) broadcast: &'a Broadcast,
    pub(super) endpoint: &'a Endpoint,
    /// The span above it, in this process.
    pub(super) parent: Option<SpanId>,
    pub(super) context: TraceContext,
    /// Requests of the delivery before it.
    pub(super) resend: u32,
    /// When it began.
    pub(super) now: OffsetDateTime,
    pub(super) result: &'a Result<StatusCode, AttemptError>,
}

pub(super) fn span(sent: &Sent<'_>, took: Duration) -> Span {
    let Sent { broadcast, endpoint, result, .. } = sent;
    let Endpoint { address, target, member, .. } = endpoint;
    let method = target.method.as_str();
    // A query may have a secret.
    let path = target.path.split('?').next().unwrap_or_default();
    let mut attributes: Vec<(&'static str, SpanValue)> = vec![
        ("http.request.method", method.into()),
        ("server.address", address.ip().to_string().into()),
        ("server.port", SpanValue::Number(address.port().into())),
        ("url.full", format!("{}://{address}{path}", target.scheme.as_str()).into()),
        ("ecs_task_notifier.broadcast", broadcast.id.as_str().into()),
        ("ecs_task_notifier.cluster", member.cluster.as_str().into()),
        ("ecs_task_notifier.service", member.service.as_str().into()),
        ("ecs_task_notifier.task", member.task.as_str().into()),
    ];
    let status = match result {
        Ok(status) => Some(*status),
        Err(error) => error.status(),
    };
    if let Some(status) = status {
        attributes.push(("http.response.status_code", SpanValue::Number(status.as_u16().into())));
    }
    if sent.resend > 0 {
        attributes.push(("http.request.resend_count", SpanValue::Number(sent.resend.into())));
    }
    let mut failure = None;
    if let Err(error) = result {
        let kind = status.map_or(error.cause().as_str().to_owned(), |status| status.as_str().to_owned());
        attributes.push(("error.type", kind.into()));
        // The status says why.
        let reason = if status.is_some() { String::new() } else { error.reason() };
        failure = Some(printable(&reason, REASON_CHARS_MAX));
    }
    Span {
        context: sent.context,
        parent: sent.parent,
        is_parent_remote: false,
        links: Vec::new(),
        name: method.to_owned(),
        kind: SpanKind::Client,
        started: sent.now,
        took,
        attributes,
        failure,
    }
}
