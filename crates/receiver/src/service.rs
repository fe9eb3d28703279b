//! The service that the layer makes: checks, answers, and runs the handler behind.

use std::fmt::Display;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{debug, warn};

use crate::payload::{ResponseBody, Whole};
use crate::receiver::{Admitted, Answer, Receiver};
use crate::refusal::answer;

/// The service that [`Receiver`] makes as a layer.
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
    S: Service<Request<Whole>, Response = Response<R>> + Clone + Send + 'static,
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
        // The handler that is ready goes with this request, a clone of it stays for the next.
        let spare = self.handler.clone();
        let handler = mem::replace(&mut self.handler, spare);
        let receiver = self.receiver.clone();
        Box::pin(async move {
            let admitted = match receiver.admit(request).await {
                Ok(admitted) => admitted,
                Err(refusal) => {
                    // Strangers cause this at will: nothing that a busy log would show.
                    debug!(status = refusal.status().as_u16(), "Not handled: {refusal}");
                    return Ok(own(refusal.response()));
                }
            };
            let when = receiver.0.answer;
            let handling = tokio::spawn(handle(receiver, handler, admitted));
            match when {
                Answer::AtOnce => Ok(own(answer(StatusCode::ACCEPTED, "accepted\n".to_owned()))),
                Answer::AfterHandler => match handling.await {
                    Ok(Some(result)) => result.map(|response| response.map(ResponseBody::of_handler)),
                    Ok(None) | Err(_) => {
                        Ok(own(answer(StatusCode::INTERNAL_SERVER_ERROR, "the handler failed\n".to_owned())))
                    }
                },
            }
        })
    }
}

fn own<R>(response: Response<Whole>) -> Response<ResponseBody<R>> {
    response.map(ResponseBody::own)
}

/// Runs the handler when its turn comes, and remembers how it went. `None` when it panicked.
async fn handle<S, R>(
    receiver: Receiver,
    mut handler: S,
    admitted: Admitted,
) -> Option<Result<Response<R>, S::Error>>
where
    S: Service<Request<Whole>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Display + Send + 'static,
    R: Send + 'static,
{
    let Admitted { notification, request, place, claimed } = admitted;
    // Only a closed semaphore has no turns, and this one is never closed.
    let _turn = place.turn().await;
    // A task of its own, so that a panic ends here.
    let result = tokio::spawn(async move { handler.call(request).await }).await.ok();
    let failure = match &result {
        Some(Ok(response)) if response.status().is_success() => None,
        Some(Ok(response)) => Some(format!("it answered {}", response.status())),
        Some(Err(error)) => Some(error.to_string()),
        None => Some("it panicked".to_owned()),
    };
    let id = notification.delivery_id();
    let seen = &receiver.0.seen;
    if let Some(failure) = failure {
        warn!(delivery.id = id, "The handler failed for delivery {id}: {failure}");
        if claimed {
            seen.release(id).await;
        }
    } else if claimed {
        seen.done(id).await;
    }
    result
}
