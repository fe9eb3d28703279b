//! The service of the layer: checks a request, responds, and runs the handler.

use std::fmt::Display;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{debug, warn};

use crate::payload::{FullBody, ResponseBody};
use crate::receiver::{Accepted, Receiver, ResponseMode};
use crate::refusal::respond;

/// The service that the layer [`Receiver`] puts around a handler.
#[derive(Clone, Debug)]
pub struct ReceiverService<S> {
    receiver: Receiver,
    handler: S,
}

impl<S> Layer<S> for Receiver {
    type Service = ReceiverService<S>;

    fn layer(&self, handler: S) -> ReceiverService<S> {
        ReceiverService { receiver: self.clone(), handler }
    }
}

impl<S, B, R> Service<Request<B>> for ReceiverService<S>
where
    S: Service<Request<FullBody>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Display + Send + 'static,
    R: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.handler.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // `poll_ready` prepared this handler, not a clone of it: use it for this request and keep a clone for the next.
        let clone = self.handler.clone();
        let handler = mem::replace(&mut self.handler, clone);
        let receiver = self.receiver.clone();
        Box::pin(async move {
            let accepted = match receiver.accept(request).await {
                Ok(accepted) => accepted,
                Err(refusal) => {
                    // At debug level, because unauthenticated requests could flood the log.
                    debug!(status = refusal.status().as_u16(), "Refused a request: {refusal}");
                    return Ok(own(refusal.response()));
                }
            };
            let mode = accepted.response_mode;
            let handling = tokio::spawn(handle(receiver, handler, accepted));
            match mode {
                ResponseMode::Immediate => Ok(own(respond(StatusCode::ACCEPTED, "accepted\n".to_owned()))),
                ResponseMode::AfterHandler => match handling.await {
                    Ok(Some(result)) => result.map(|response| response.map(ResponseBody::of_handler)),
                    Ok(None) | Err(_) => {
                        Ok(own(respond(StatusCode::INTERNAL_SERVER_ERROR, "the handler failed\n".to_owned())))
                    }
                },
            }
        })
    }
}

fn own<R>(response: Response<FullBody>) -> Response<ResponseBody<R>> {
    response.map(ResponseBody::own)
}

/// Runs the handler within the concurrency limit and records its result. Returns `None` if it panicked.
async fn handle<S, R>(
    receiver: Receiver,
    mut handler: S,
    accepted: Accepted,
) -> Option<Result<Response<R>, S::Error>>
where
    S: Service<Request<FullBody>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Display + Send + 'static,
    R: Send + 'static,
{
    let Accepted { notification, request, slot, claimed, .. } = accepted;
    // Only a closed semaphore returns an error, and this one is never closed.
    let _permit = slot.run_permit().await;
    // In a separate task, to catch a panic.
    let result = tokio::spawn(async move { handler.call(request).await }).await.ok();
    let failure = match &result {
        Some(Ok(response)) if response.status().is_success() => None,
        Some(Ok(response)) => Some(format!("status {}", response.status())),
        Some(Err(error)) => Some(error.to_string()),
        None => Some("panicked".to_owned()),
    };
    let id = notification.delivery_id();
    let store = &receiver.0.dedup_store;
    if let Some(failure) = failure {
        warn!(delivery.id = id, "The handler failed for delivery {id}: {failure}");
        if claimed {
            store.release(id).await;
        }
    } else if claimed {
        store.done(id).await;
    }
    result
}
