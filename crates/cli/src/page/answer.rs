//! Answers as pages, files and redirections; errors as answers.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION, REFRESH, RETRY_AFTER};
use notifier::base::text;
use notifier::ledger::LedgerError;

use super::access::Refusal;
use super::view::forms;

/// An answer without data of a broadcast.
pub(super) enum Answer {
    NotFound(&'static str),
    Bad(String),
    /// The broadcast is not in a state for it.
    Conflict(String),
    Refused(Refusal),
    /// Too many of something at once.
    Busy(&'static str),
    Ledger(LedgerError),
}

impl From<LedgerError> for Answer {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Refused(Refusal::Token) => return html(StatusCode::UNAUTHORIZED, forms::log_in(false)),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "Not found", text.to_owned()),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, "Bad request", text),
            Self::Conflict(text) => (StatusCode::CONFLICT, "Not possible", text),
            Self::Refused(Refusal::Host) => {
                let text = "This is not a host name of the page. --allowed-host NAME allows one.";
                (StatusCode::MISDIRECTED_REQUEST, "Unknown host", text.to_owned())
            }
            Self::Refused(Refusal::CrossSite) => {
                (StatusCode::FORBIDDEN, "Refused", "Another site caused this request.".to_owned())
            }
            Self::Busy(text) => {
                let page = forms::message("Busy", text);
                return ([(RETRY_AFTER, "5")], html(StatusCode::SERVICE_UNAVAILABLE, page)).into_response();
            }
            Self::Ledger(error) => {
                let text = text::chain(&error);
                tracing::warn!(error = %text, "The ledger cannot be read");
                let page = html(StatusCode::BAD_GATEWAY, forms::message("The ledger cannot be read", &text));
                // The browser tries again by itself.
                let seconds = if error.is_final() { "60" } else { "5" };
                return ([(REFRESH, seconds)], page).into_response();
            }
        };
        html(status, forms::message(title, &text))
    }
}

pub(super) fn html(status: StatusCode, page: String) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

pub(super) fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

pub(super) fn see_other(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}
