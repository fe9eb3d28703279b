//! The spans of the work on messages, by the semantic conventions of messaging.
//!
//! A message is worked on in the trace of its event, below the span that sent it.
//!
//! Source: OpenTelemetry semantic conventions, "Semantic conventions for AWS SQS" (in development).

use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Failure, Handler, Work};
use crate::base::spans::{Span, SpanKind, SpanValue, Spans};
use crate::base::trace::TraceContext;
use crate::queue::{Message, Queue};

/// When some work began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    at: OffsetDateTime,
    instant: Instant,
}

impl Work {
    /// Where the spans of this work go.
    pub fn spans(&self) -> Spans {
        match &self.handler {
            Handler::Stage(ctx) => ctx.deliverer.spans().clone(),
            Handler::Function(_) => Spans::default(),
        }
    }

    /// Notes the time, if spans are recorded.
    pub(super) fn begin(&self) -> Option<Began> {
        let Handler::Stage(ctx) = &self.handler else { return None };
        ctx.deliverer.spans().is_on().then(|| Began { at: ctx.clock.now(), instant: Instant::now() })
    }

    /// Records the work on a message.
    pub(super) fn processed(&self, message: &Message, began: Began, failure: Option<&Failure>) {
        let Some(received) = message.context else { return };
        let Some(context) = message.processing(received) else { return };
        let make = || {
            let mut attributes = about(&self.source, "process");
            attributes.push(("messaging.message.id", message.message_id.as_str().into()));
            attributes.extend(failure.map(|failure| ("error.type", failure.code.into())));
            Span {
                context,
                parent: received.span,
                is_parent_remote: true,
                links: received.span.map(|_| received).into_iter().collect(),
                name: format!("process {}", self.source.name()),
                kind: SpanKind::Consumer,
                started: began.at,
                took: began.instant.elapsed(),
                attributes,
                failure: failure.map(|failure| failure.reason.clone()),
            }
        };
        self.spans().end(context, None, failure.is_some(), make);
    }

    /// Records that messages were sent to the next queue by work in this context. The span of the work is the creation
    /// context of the messages, so this one is a client's.
    pub(super) fn sent(
        &self,
        next: &Queue,
        messages: usize,
        work: TraceContext,
        began: Began,
        failure: Option<&Failure>,
    ) {
        let context = work.hop(&self.rng);
        let make = || {
            let mut attributes = about(next, "send");
            if messages > 1 {
                let count = i64::try_from(messages).unwrap_or(i64::MAX);
                attributes.push(("messaging.batch.message_count", SpanValue::Number(count)));
            }
            attributes.extend(failure.map(|failure| ("error.type", failure.code.into())));
            Span {
                context,
                parent: work.span,
                is_parent_remote: false,
                links: Vec::new(),
                name: format!("send {}", next.name()),
                kind: SpanKind::Client,
                started: began.at,
                took: began.instant.elapsed(),
                attributes,
                failure: failure.map(|failure| failure.reason.clone()),
            }
        };
        self.spans().end(context, work.span, failure.is_some(), make);
    }
}

/// The attributes of every operation on a queue.
pub fn about(queue: &Queue, operation: &str) -> Vec<(&'static str, SpanValue)> {
    vec![
        ("messaging.system", "aws_sqs".into()),
        ("messaging.operation.name", operation.into()),
        ("messaging.operation.type", operation.into()),
        ("messaging.destination.name", queue.name().into()),
        ("aws.sqs.queue.url", queue.url().into()),
    ]
}
