//! Stage 1, first step: what a message of the observer queue asks for.

use tracing::field::display;
use tracing::{debug, info};
use wire::{Message as _, ObserverMessage};

use super::coalesce::{self, Incoming};
use super::{Ctx, Output, StageError, discovery};
use crate::queue::{self, Delayed};
use crate::sources::{self, BadRecord, Content, Record, Routed, Routes};

/// Processes a message of the observer queue: a request for a broadcast, or records of a source.
///
/// Each record is processed by itself. A message with several records becomes a message for each broadcast that they ask
/// for, and one for each record that cannot be processed, so that it fails alone.
pub(super) async fn observe(ctx: &Ctx, received: &queue::Message) -> Result<Output, StageError> {
    match sources::read(&received.body)? {
        Content::Direct(message) => direct(ctx, *message, received).await,
        Content::Test => {
            debug!(
                message.id = received.id,
                trace_id = received.trace_id().map(display),
                "Test message of S3"
            );
            Ok(Output::default())
        }
        Content::Records(records) => from_records(ctx, records, received).await,
    }
}

/// Makes a broadcast, unless it waited for the end of a window and a newer event took its place.
async fn direct(
    ctx: &Ctx,
    mut message: ObserverMessage,
    received: &queue::Message,
) -> Result<Output, StageError> {
    let mut folded = 0;
    if let Some(event) = message.coalesce.take() {
        let Some(older) = coalesce::end(ctx, &event).await? else {
            let trace_id = received.trace_id().map(display);
            debug!(message.id = received.id, trace_id, key = event.key, "A newer event takes its place");
            return Ok(Output::default());
        };
        folded = older;
    }
    discovery::services(ctx, message, folded, received).await
}

async fn from_records(
    ctx: &Ctx,
    mut records: Vec<Result<Record, BadRecord>>,
    received: &queue::Message,
) -> Result<Output, StageError> {
    let rules = ctx.routes.current().await.ok_or(StageError::NoRoutes)?;
    if records.len() == 1
        && let Some(only) = records.pop()
    {
        let Requests { now: mut requests, waiting: again, failure } =
            route(ctx, &rules, &only.map_err(|bad| bad.error)?, received).await?;
        // The usual case needs no second message.
        if again.is_empty()
            && failure.is_none()
            && requests.len() == 1
            && let Some(message) = requests.pop()
        {
            return direct(ctx, message, received).await;
        }
        let again = again.into_iter().map(Ok).chain(requests.iter().map(now)).collect::<Result<_, _>>()?;
        return Ok(Output { again, failure, ..Output::default() });
    }
    let mut again = Vec::new();
    for record in records {
        match record {
            Err(bad) => again.push(Delayed::now(bad.body)),
            Ok(record) => {
                let requests = route(ctx, &rules, &record, received).await?;
                if requests.failure.is_some() {
                    again.push(Delayed::now(record.raw().get().to_owned()));
                    continue;
                }
                again.extend(requests.waiting);
                for request in &requests.now {
                    again.push(now(request)?);
                }
            }
        }
    }
    Ok(Output { again, ..Output::default() })
}

fn now(request: &ObserverMessage) -> Result<Delayed, StageError> {
    Ok(Delayed::now(request.to_body()?))
}

/// What the rules make of one record.
#[derive(Default)]
struct Requests {
    /// Requests for broadcasts that begin at once.
    now: Vec<ObserverMessage>,
    /// Requests that wait for the end of a window.
    waiting: Vec<Delayed>,
    /// Why a matching rule cannot make a request.
    failure: Option<StageError>,
}

async fn route(
    ctx: &Ctx,
    rules: &Routes,
    record: &Record,
    received: &queue::Message,
) -> Result<Requests, StageError> {
    let mut requests = Requests::default();
    let matches = rules.route(record);
    let (event, source, kind) = (record.id(), record.event_source(), record.event_type());
    if matches.is_empty() {
        let trace_id = received.trace_id().map(display);
        info!(
            event.id = event,
            event.source = source,
            event.r#type = kind,
            trace_id,
            "No route matches the event"
        );
    }
    for Routed { rule, request, fold } in matches {
        let mut request = match request {
            Ok(request) => request,
            Err(error) => {
                requests.failure.get_or_insert(StageError::Route { rule, source: error });
                continue;
            }
        };
        debug!(
            event.id = event,
            trace_id = received.trace_id().map(display),
            rule,
            "The event matches a route"
        );
        let Some(fold) = fold else {
            requests.now.push(request);
            continue;
        };
        let incoming = Incoming { key: &fold.key, window: fold.window, at: fold.at, id: event };
        if let Some((coalesce, delay)) = coalesce::arrive(ctx, &incoming).await? {
            request.coalesce = Some(coalesce);
            requests.waiting.push(Delayed { body: request.to_body()?, delay });
        }
    }
    Ok(requests)
}
