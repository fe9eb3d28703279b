//! Why an attempt or a delivery failed, and what follows.

use std::io;
use std::iter;
use std::time::Duration;

use http::StatusCode;

use super::response::Then;
use crate::base::text::chain;
use crate::fleet::RecheckError;
use crate::model::network::Refused;
use crate::model::{Cause, Outcome, SkipReason, UNKNOWN};

/// Why one attempt failed. Without the address, which is always shown beside the error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum AttemptError {
    /// The address is not allowed. Checked for every attempt, just before it connects.
    #[error("the address must not be called: {0}")]
    Refused(Refused),
    /// The labels require TLS, which this process does not have.
    #[error("TLS is not configured in this process")]
    NoTls,
    #[error("the server name is not a DNS name")]
    ServerName,
    /// The labels require binary mode, in which a signature would cover neither the event's attributes nor the recipient.
    #[error("an event in binary mode cannot be signed: a signature would not cover its attributes")]
    BinarySigned,
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
    #[error("the body cannot be written")]
    Body(#[from] serde_json::Error),
    /// This machine has no file, port or memory left for a connection. The task is not the cause.
    #[error("this machine cannot open another connection")]
    Local(#[source] io::Error),
    /// The connection was refused, or there is no route.
    #[error("cannot connect")]
    Unreachable(#[source] io::Error),
    /// The TLS handshake failed: one side refuses the certificate of the other, or the peer has no TLS.
    #[error("no TLS")]
    Tls(#[source] io::Error),
    #[error("the connection was closed before TLS was established")]
    TlsBroken(#[source] io::Error),
    #[error("no connection within {0:?}")]
    ConnectTimedOut(Duration),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection was closed")]
    Broken(#[source] hyper::Error),
    /// The answer is not HTTP, or its head is too large.
    #[error("the answer cannot be read")]
    NotHttp(#[source] hyper::Error),
    #[error("the time of this delivery has run out")]
    CutOff,
    /// The task has stopped; no request was made.
    #[error("{0}")]
    Stopped(String),
    /// The task runs, but its container cannot be called at the moment; no request was made.
    #[error("the container cannot be called at the moment: {0}")]
    Nowhere(String),
    /// The container's health check has no result yet; no request was made.
    #[error("{}", SkipReason::health(UNKNOWN).text)]
    Starting,
    /// The task could not be looked up; no request was made.
    #[error(transparent)]
    Lost(RecheckError),
    /// The task answered, but did not accept the event.
    #[error("answered {}", answered(*status, text.as_deref()))]
    Answered {
        status: StatusCode,
        then: Then,
        /// The start of the answer's body, printable; `None` if it is empty.
        text: Option<String>,
    },
}

impl AttemptError {
    /// What follows this error.
    pub(super) fn then(&self) -> Then {
        match self {
            Self::Local(_)
            | Self::Unreachable(_)
            | Self::ConnectTimedOut(_)
            | Self::TimedOut(_)
            | Self::Broken(_)
            | Self::Tls(_)
            | Self::TlsBroken(_)
            | Self::NotHttp(_)
            | Self::Nowhere(_)
            | Self::Starting
            | Self::Lost(_)
            | Self::CutOff => Then::Again(None),
            Self::Stopped(_) => Then::Settle(Outcome::Gone),
            Self::Refused(_)
            | Self::NoTls
            | Self::ServerName
            | Self::BinarySigned
            | Self::Request(_)
            | Self::Body(_) => Then::Settle(Outcome::Failed),
            Self::Answered { then, .. } => *then,
        }
    }

    /// Its kind.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Refused(_) => Cause::AddressRefused,
            Self::NoTls | Self::ServerName | Self::Tls(_) | Self::TlsBroken(_) => Cause::Tls,
            Self::BinarySigned => Cause::Unsignable,
            Self::Request(_) | Self::Body(_) => Cause::Fault,
            Self::Local(_) => Cause::NoRoom,
            Self::Unreachable(_) => Cause::Unreachable,
            Self::ConnectTimedOut(_) => Cause::ConnectTimedOut,
            Self::TimedOut(_) | Self::CutOff => Cause::TimedOut,
            Self::Broken(_) => Cause::Broken,
            Self::NotHttp(_) => Cause::NotHttp,
            Self::Stopped(_) => Cause::Stopped,
            Self::Nowhere(_) => Cause::Nowhere,
            Self::Starting => Cause::Health,
            Self::Lost(_) => Cause::Lost,
            Self::Answered { .. } => Cause::Answered,
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the cause is this machine or its time limit, not the task.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Local(_) | Self::CutOff | Self::Lost(_))
    }

    /// Whether another task answered.
    pub(super) fn is_misdirected(&self) -> bool {
        self.status() == Some(StatusCode::MISDIRECTED_REQUEST)
    }

    /// Whether the container is not known to be healthy yet.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self, Self::Starting)
    }

    /// Whether a request was made, or was at least begun.
    pub(super) fn was_attempted(&self) -> bool {
        !matches!(self, Self::Stopped(_) | Self::Nowhere(_) | Self::Starting | Self::Lost(_))
    }

    /// The error and its causes as one line, as a report shows it.
    pub fn reason(&self) -> String {
        chain(self)
    }
}

/// `503 Service Unavailable: overloaded`.
fn answered(status: StatusCode, text: Option<&str>) -> String {
    let line = iter::once(status.as_str()).chain(status.canonical_reason()).collect::<Vec<_>>().join(" ");
    let misdirected = (status == StatusCode::MISDIRECTED_REQUEST).then_some("another task has its address");
    iter::once(line.as_str()).chain(misdirected).chain(text).collect::<Vec<_>>().join(": ")
}

/// A delivery that has not ended: its quick attempts are used up, its time has run out, or this machine is out of
/// resources.
///
/// The caller can retry the same delivery later; it keeps its id.
#[derive(Debug, thiserror::Error)]
#[error("not notified after {attempts} {}", if *attempts == 1 { "attempt" } else { "attempts" })]
pub struct Unfinished {
    /// Attempts made so far.
    pub attempts: u32,
    /// The shortest wait before the next attempt: requested by the task, or longer than the remaining time.
    pub retry_after: Option<Duration>,
    /// The error of the last attempt; `None` if there was none.
    #[source]
    pub last: Option<AttemptError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, then: Then, text: Option<&str>) -> AttemptError {
        let status = StatusCode::from_u16(status).unwrap();
        AttemptError::Answered { status, then, text: text.map(str::to_owned) }
    }

    #[test]
    fn a_reason_is_one_line_with_its_causes() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (error, says) in [
            (AttemptError::Unreachable(refused), "cannot connect: connection refused"),
            (AttemptError::TimedOut(Duration::from_millis(2500)), "no answer within 2.5s"),
            (AttemptError::Refused(Refused::LinkLocal), "the address must not be called: it is link-local"),
            (answered(404, Then::Settle(Outcome::Rejected), None), "answered 404 Not Found"),
            (answered(599, Then::Again(None), Some("full")), "answered 599: full"),
            (
                answered(421, Then::Again(None), Some("not me")),
                "answered 421 Misdirected Request: another task has its address: not me",
            ),
        ] {
            assert_eq!(error.reason(), says);
        }
    }

    #[test]
    fn only_what_may_change_is_tried_again() {
        let second = Some(Duration::from_secs(1));
        for (error, then) in [
            (AttemptError::Local(io::Error::other("x")), Then::Again(None)),
            (AttemptError::ConnectTimedOut(Duration::ZERO), Then::Again(None)),
            (AttemptError::Tls(io::Error::other("x")), Then::Again(None)),
            (AttemptError::TlsBroken(io::Error::other("x")), Then::Again(None)),
            (AttemptError::Refused(Refused::Outside), Then::Settle(Outcome::Failed)),
            (answered(503, Then::Again(second), None), Then::Again(second)),
            (answered(410, Then::Settle(Outcome::Gone), None), Then::Settle(Outcome::Gone)),
            (answered(421, Then::Again(None), None), Then::Again(None)),
            (AttemptError::Stopped("x".into()), Then::Settle(Outcome::Gone)),
            (AttemptError::Nowhere("x".into()), Then::Again(None)),
            (answered(301, Then::Settle(Outcome::Rejected), None), Then::Settle(Outcome::Rejected)),
        ] {
            assert_eq!(error.then(), then, "{error}");
        }
    }
}
