//! One invocation: processes each record, and answers with the records to deliver again.
//!
//! The event source mapping deletes all other records: they are processed, or in the dead letters. Resulting messages are
//! on the next queue before that.

use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use futures_util::stream::{self, StreamExt as _};
use notifier::base::spans::{Span, SpanKind, SpanValue};
use notifier::base::trace::TraceContext;
use notifier::pipeline::spans::about;
use notifier::pipeline::{DEADLINE_SLACK, Disposition, Failure, Work};
use notifier::queue::{EventSourceMapping, Message};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use crate::record::{self, Batch, Nameless, Read};

/// Concurrent records; a batch of the notify stage has no more.
const RECORDS_AT_ONCE: usize = 100;

/// Part of an invocation's time that is reserved for dead letters, returns and the answer.
pub const RESERVE: Duration = Duration::from_secs(6);

/// Reserved for the answer.
pub const ANSWER: Duration = Duration::from_secs(1);

/// A stage on its queue.
#[derive(Debug)]
pub struct Worker {
    /// Processes each record.
    pub work: Work,
    /// The source queue of the mapping.
    pub source: EventSourceMapping,
}

/// The end of one record.
enum Settled {
    /// The mapping may delete it.
    Done,
    /// It stays on its queue; `Some` is the wait until it is visible again, if shorter than the visibility timeout.
    Back(Option<Box<(Message, Duration)>>),
}

impl Worker {
    /// Processes one batch until `end`, when Lambda stops the function.
    ///
    /// Records that cannot be finished in time are returned to the queue.
    ///
    /// # Errors
    ///
    /// A record without a message id; then no record is processed, and the whole batch is delivered again.
    pub async fn run(&self, batch: &Batch, end: Instant) -> Result<SqsBatchResponse, Nameless> {
        self.run_in(batch, end, None).await
    }

    /// The same as a part of Lambda's trace of the invocation. A batch of several messages has a span there, with links
    /// to theirs: each is processed in the trace of its event.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub async fn run_in(
        &self,
        batch: &Batch,
        end: Instant,
        invocation: Option<TraceContext>,
    ) -> Result<SqsBatchResponse, Nameless> {
        let (began, spans) = (OffsetDateTime::now_utc(), self.work.spans());
        let started = Instant::now();
        let records = batch.records.iter().enumerate();
        let records = records.map(|(index, raw)| record::read(index, raw)).collect::<Result<Vec<_>, _>>()?;
        let works = records.into_iter().map(|read| self.record(read, end));
        // In the order of the batch, so that the answer is predictable.
        let ends: Vec<_> = stream::iter(works).buffered(RECORDS_AT_ONCE).collect().await;
        let (mut back, mut sooner, mut links) = (Vec::new(), Vec::new(), Vec::new());
        for (id, link, end) in ends {
            links.extend(link);
            if let Settled::Back(message) = end {
                back.push(id);
                sooner.extend(message.map(|message| *message));
            }
        }
        if !sooner.is_empty() && timeout_at(last_moment(end), self.source.return_after(sooner)).await.is_err()
        {
            warn!(
                stage = self.work.stage.as_str(),
                "No time was left to return messages to the queue; they come back when their visibility timeout ends"
            );
        }
        if let Some(above) = invocation.filter(|_| links.len() > 1) {
            let context = above.hop(&self.work.rng);
            let failed = back.len();
            let make = || self.span((above, context), links, failed, (began, started.elapsed()));
            spans.end(context, None, failed > 0, make);
        }
        Ok(answer(back))
    }

    /// The span of a batch. Source: OpenTelemetry semantic conventions, "AWS Lambda", "SQS Event".
    fn span(
        &self,
        (above, context): (TraceContext, TraceContext),
        links: Vec<TraceContext>,
        failed: usize,
        (started, took): (OffsetDateTime, Duration),
    ) -> Span {
        let queue = &self.work.source;
        let mut attributes = about(queue, "process");
        let messages = i64::try_from(links.len()).unwrap_or(i64::MAX);
        attributes.push(("messaging.batch.message_count", SpanValue::Number(messages)));
        Span {
            context,
            parent: above.span,
            is_parent_remote: true,
            links,
            name: format!("process {}", queue.name()),
            kind: SpanKind::Consumer,
            started,
            took,
            attributes,
            failure: (failed > 0).then(|| format!("{failed} of {messages} messages failed")),
        }
    }

    /// One record, with the id that the mapping expects and the span of its processing. A redriven dead letter has an older id in its attributes.
    async fn record(&self, read: Read, end: Instant) -> (String, Option<TraceContext>, Settled) {
        let stage = self.work.stage.as_str();
        let mut message = match read {
            Read::Whole(message) => *message,
            Read::Strange { id, error } => {
                error!(stage, message.id = id, error = %error, "Record {id} is not as Lambda documents it and stays on its queue");
                return (id, None, Settled::Back(None));
            }
        };
        message.join_trace(&self.work.rng);
        let id = message.message_id.clone();
        let link = message.context.and_then(|context| message.processing(context));
        let settled = match self.run_in_time(&message, end).await {
            Ok(()) => Settled::Done,
            Err(failure) => match timeout_at(last_moment(end), self.fail(&message, &failure)).await {
                Ok(None) => Settled::Done,
                Ok(Some(wait)) => Settled::Back(Some(Box::new((message, wait)))),
                Err(_elapsed) => Settled::Back(None),
            },
        };
        (id, link, settled)
    }

    /// Processes the record within the remaining time.
    async fn run_in_time(&self, message: &Message, end: Instant) -> Result<(), Failure> {
        let now = Instant::now();
        let deadline = end.checked_sub(RESERVE).unwrap_or(now);
        let late = || Failure::late(deadline.saturating_duration_since(now));
        if deadline <= now {
            return Err(late());
        }
        let run = self.work.run(message, deadline);
        timeout_at(deadline + DEADLINE_SLACK, run).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// Moves a failed message to the dead-letter queue, or returns the wait until it is delivered again.
    async fn fail(&self, message: &Message, failure: &Failure) -> Option<Duration> {
        // If the policy cannot be read, the message is at worst delivered once more.
        let is_last = self.source.is_last_receive(message).await.unwrap_or(false);
        match self.work.after(message, failure, is_last).await {
            Disposition::Retry(wait) => Some(wait),
            Disposition::DeadLetter(failure) => {
                let moved = self.source.dead_letter(message, &failure.letter).await;
                failure.log(&moved);
                moved.is_err().then_some(failure.wait)
            }
        }
    }
}

fn last_moment(end: Instant) -> Instant {
    end.checked_sub(ANSWER).unwrap_or(end)
}

fn answer(back: Vec<String>) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    answer.set_failures(back);
    answer
}
