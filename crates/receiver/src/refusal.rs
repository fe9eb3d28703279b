//! Why a request does not reach the handler, and what it is answered.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use wire::signature::SignatureError;

use crate::payload::Whole;

/// What a sender that comes too early is asked to wait, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request does not reach the handler. Its text is the answer's body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("only {0} is accepted here")]
    Method(&'static str),
    #[error("the body must be application/cloudevents+json")]
    MediaType,
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Unauthentic(#[from] SignatureError),
    #[error("the event is for another task")]
    OtherTask,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body broke off")]
    BrokenOff,
    #[error("handled before")]
    Repeat,
    #[error("this event is being handled")]
    InProgress,
    #[error("busy")]
    Busy,
    #[error("shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// What of it is in the outcome table of ecs-task-notifier: a request that would fail again is `rejected`, one that
    /// came at a bad moment is tried again, and one for another task makes the notifier look where that task is.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) | Self::Unauthentic(SignatureError::Header { .. }) => StatusCode::BAD_REQUEST,
            Self::Unauthentic(_) => StatusCode::UNAUTHORIZED,
            Self::OtherTask => StatusCode::MISDIRECTED_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) | Self::BrokenOff => StatusCode::REQUEST_TIMEOUT,
            Self::Repeat => StatusCode::OK,
            // Not 410 when shutting down: the process may end without its task, and then the event is still due.
            Self::InProgress | Self::Busy | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn response(&self) -> Response<Whole> {
        let mut response = answer(self.status(), format!("{self}\n"));
        let extra: Option<(HeaderName, HeaderValue)> = match self {
            Self::Method(allowed) => Some((ALLOW, HeaderValue::from_static(allowed))),
            _ => match self.status() {
                // RFC 9110, section 15.5.2: a 401 names the scheme that it would accept.
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

/// An answer with a line of text.
pub(crate) fn answer(status: StatusCode, text: String) -> Response<Whole> {
    let mut response = Response::new(Whole::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
