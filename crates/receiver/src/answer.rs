//! The results of a handler function, as responses.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use crate::payload::FullBody;

/// The result of a function for [`on_event`](crate::on_event): nothing, or the answer to a question.
///
/// A text is sent as `text/plain`, a JSON value as `application/json`.
pub trait Answer {
    /// The response with this result.
    fn into_response(self) -> Response<FullBody>;
}

impl Answer for () {
    fn into_response(self) -> Response<FullBody> {
        Response::new(FullBody::default())
    }
}

impl Answer for String {
    fn into_response(self) -> Response<FullBody> {
        response(self, "text/plain; charset=utf-8")
    }
}

impl Answer for &'static str {
    fn into_response(self) -> Response<FullBody> {
        response(self, "text/plain; charset=utf-8")
    }
}

impl Answer for serde_json::Value {
    fn into_response(self) -> Response<FullBody> {
        response(self.to_string(), "application/json")
    }
}

/// `None` is no answer: for events that are not questions.
impl<T: Answer> Answer for Option<T> {
    fn into_response(self) -> Response<FullBody> {
        self.map_or_else(|| ().into_response(), T::into_response)
    }
}

fn response(body: impl Into<FullBody>, content_type: &'static str) -> Response<FullBody> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
