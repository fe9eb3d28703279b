//! A function as the service behind the layer, for servers without a router.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::notification::Notification;
use crate::payload::Whole;
use crate::refusal::answer;

/// Makes a service of a function that handles a notification. An error of the function is answered as 500 with its text.
///
/// ```
/// # use receiver::{Identity, Receiver, on_event};
/// # let keys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// use tower_layer::Layer;
///
/// let receiver = Receiver::builder(keys, Identity::unchecked()).build();
/// let service = receiver.layer(on_event(|notification| async move {
///     println!("{}", notification.event().kind());
///     Ok::<_, std::io::Error>(())
/// }));
/// # let _ = service;
/// # Ok::<_, receiver::KeyError>(())
/// ```
pub fn on_event<F, Fut, E>(handle: F) -> OnEvent<F>
where
    F: Fn(Notification) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    OnEvent(handle)
}

/// See [`on_event`].
#[derive(Clone, Copy, Debug)]
pub struct OnEvent<F>(F);

impl<B, F, Fut, E> Service<Request<B>> for OnEvent<F>
where
    F: Fn(Notification) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Display,
{
    type Response = Response<Whole>;
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
                    answer(StatusCode::INTERNAL_SERVER_ERROR, "no notification in the request\n".to_owned())
                }
                Some(handled) => match handled.await {
                    Ok(()) => Response::new(Whole::default()),
                    Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
                },
            })
        })
    }
}
