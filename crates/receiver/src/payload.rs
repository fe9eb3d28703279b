//! The body types of the public interface. They are our own, so that a breaking release of another crate does not break
//! ours.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};

/// A body that is completely in memory: the body of an accepted request, or of a response of the receiver itself.
#[derive(Clone, Debug, Default)]
pub struct FullBody(Full<Bytes>);

impl<T: Into<Bytes>> From<T> for FullBody {
    fn from(bytes: T) -> Self {
        Self(Full::new(bytes.into()))
    }
}

impl Body for FullBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

pin_project_lite::pin_project! {
    /// The body of a response, either of the handler or of the receiver itself.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        body: Either<B, FullBody>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn of_handler(body: B) -> Self {
        Self { body: Either::Left(body) }
    }

    pub(crate) fn own(body: FullBody) -> Self {
        Self { body: Either::Right(body) }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
