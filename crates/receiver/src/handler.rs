//! A function as the handler, for servers without a router.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::answer::Answer;
use crate::notification::Notification;
use crate::payload::FullBody;
use crate::refusal::respond;

/// Turns a function into a service that handles notifications. It returns nothing, or the [`Answer`] to a question. An error
/// of the function becomes a 500 with its text.
///
/// ```
/// use ecs_task_notifier_receiver::{Identity, Receiver, on_event};
/// use tower_layer::Layer;
///
/// let keys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let receiver = Receiver::builder(keys, Identity::unchecked()).build();
/// let service = receiver.layer(on_event(|notification| async move {
///     println!("{}", notification.event().kind());
///     Ok::<_, std::io::Error>(())
/// }));
/// # let _ = service;
/// # Ok::<_, ecs_task_notifier_receiver::KeyError>(())
/// ```
pub fn on_event<F, Fut, T, E>(handle: F) -> OnEvent<F>
where
    F: Fn(Notification) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    T: Answer,
{
    OnEvent(handle)
}

/// The service that [`on_event`] returns.
#[derive(Clone, Copy, Debug)]
pub struct OnEvent<F>(F);

impl<B, F, Fut, T, E> Service<Request<B>> for OnEvent<F>
where
    F: Fn(Notification) -> Fut,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Answer,
    E: Display,
{
    type Response = Response<FullBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let handled = request.extensions().get().cloned().map(&self.0);
        Box::pin(async move {
            Ok(match handled {
                None => {
                    respond(StatusCode::INTERNAL_SERVER_ERROR, "no notification in the request\n".to_owned())
                }
                Some(handled) => match handled.await {
                    Ok(answer) => answer.into_response(),
                    Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
                },
            })
        })
    }
}
