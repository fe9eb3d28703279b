//! Requests that do not reach the handler, and their responses.

use std::time::Duration;

use ecs_task_notifier_wire::signature::SignatureError;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::payload::FullBody;

/// How long a sender should wait before the next attempt, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request does not reach the handler. The text is the body of the response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("only {0} is allowed")]
    Method(&'static str),
    #[error("the body must be application/cloudevents+json")]
    MediaType,
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Unauthentic(#[from] SignatureError),
    #[error("the event is addressed to another task")]
    OtherTask,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body ended early")]
    Interrupted,
    #[error("the question has expired")]
    Expired,
    #[error("already handled")]
    Repeat,
    #[error("this delivery is being handled")]
    InProgress,
    #[error("busy")]
    Busy,
    #[error("shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// The status of the response. It makes the notifier stop (4xx), try again later (408, 503), or look up the address
    /// of the task again (421).
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) | Self::Expired | Self::Unauthentic(SignatureError::Header { .. }) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthentic(_) => StatusCode::UNAUTHORIZED,
            Self::OtherTask => StatusCode::MISDIRECTED_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) | Self::Interrupted => StatusCode::REQUEST_TIMEOUT,
            Self::Repeat => StatusCode::OK,
            // Not 410 during shutdown: the task may outlive this process and must still receive the event.
            Self::InProgress | Self::Busy | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn response(&self) -> Response<FullBody> {
        let mut response = respond(self.status(), format!("{self}\n"));
        let extra: Option<(HeaderName, HeaderValue)> = match self {
            Self::Method(allowed) => Some((ALLOW, HeaderValue::from_static(allowed))),
            _ => match self.status() {
                // RFC 9110, section 15.5.2: a 401 must name an accepted scheme.
                StatusCode::UNAUTHORIZED => {
                    Some((WWW_AUTHENTICATE, HeaderValue::from_static("Standard-Webhooks")))
                }
                StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, RETRY_AFTER_SECONDS)),
                _ => None,
            },
        };
        response.headers_mut().extend(extra);
        response
    }
}

/// A response with a line of text.
pub(crate) fn respond(status: StatusCode, text: String) -> Response<FullBody> {
    let mut response = Response::new(FullBody::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
