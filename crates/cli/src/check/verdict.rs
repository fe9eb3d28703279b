//! Whether an answer is the expected one. Pure.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// The expected reaction to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Good {
    /// Answers 2xx.
    Accepts,
    /// Answers with a status that refuses for good: best with this one.
    Refuses(u16),
    /// The same, or closes the connection before it has read everything.
    RefusesOrHangsUp(u16),
    /// Answers 421, and nothing else: every other refusal would end the delivery.
    Misdirected,
    /// Does not wait for ever: answers 4xx or 5xx, best with this status, or closes the connection.
    GivesUp(u16),
}

/// The reaction of a receiver to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    Answered {
        status: StatusCode,
        /// The start of the answer's text, printable.
        text: Option<String>,
    },
    /// The connection ended without an answer.
    HungUp,
    /// The answer is not HTTP.
    NotHttp,
    /// No answer within this time.
    Nothing(Duration),
    /// There was no connection.
    Unreachable(String),
}

impl Good {
    /// Whether a reaction is the expected one.
    pub(super) fn is_met_by(self, reaction: &Reaction) -> bool {
        let Reaction::Answered { status, .. } = reaction else {
            let may_hang_up = matches!(self, Self::RefusesOrHangsUp(_) | Self::GivesUp(_));
            return may_hang_up && *reaction == Reaction::HungUp;
        };
        match self {
            Self::Accepts => status.is_success(),
            Self::Refuses(_) | Self::RefusesOrHangsUp(_) => is_final(*status),
            Self::Misdirected => *status == StatusCode::MISDIRECTED_REQUEST,
            Self::GivesUp(_) => status.is_client_error() || status.is_server_error(),
        }
    }
}

/// Whether the status ends the delivery as rejected: not "later", "gone" or "misdirected".
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 408 | 410 | 421 | 425 | 429)
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepts => write!(f, "accepts it: 2xx"),
            Self::Refuses(best) => write!(f, "refuses it: {best}"),
            Self::RefusesOrHangsUp(best) => write!(f, "refuses it: {best}, or closes the connection"),
            Self::Misdirected => write!(f, "refuses it: 421"),
            Self::GivesUp(best) => write!(f, "gives up: {best}, or closes the connection"),
        }
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, text: None } => write!(f, "answered {status}"),
            Self::Answered { status, text: Some(text) } => write!(f, "answered {status}: {text}"),
            Self::HungUp => f.write_str("closed the connection"),
            Self::NotHttp => f.write_str("answered, but not in HTTP/1.1"),
            Self::Nothing(limit) => write!(f, "did not answer within {limit:?}"),
            Self::Unreachable(why) => write!(f, "refused the connection: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses from 200 to 599 that are good.
    fn good(good: Good) -> Vec<u16> {
        let met = |status: &u16| {
            let status = StatusCode::from_u16(*status).unwrap();
            good.is_met_by(&Reaction::Answered { status, text: None })
        };
        (200..600).filter(met).collect()
    }

    #[test]
    fn each_expectation_is_met_by_what_the_notifier_takes_for_it() {
        let no: Vec<u16> = (400..500).filter(|status| ![408, 410, 421, 425, 429].contains(status)).collect();
        assert_eq!(good(Good::Accepts), (200..300).collect::<Vec<_>>());
        assert_eq!(good(Good::Refuses(401)), no);
        assert_eq!(good(Good::RefusesOrHangsUp(413)), no);
        assert_eq!(good(Good::Misdirected), [421]);
        assert_eq!(good(Good::GivesUp(408)), (400..600).collect::<Vec<_>>());
    }

    #[test]
    fn hanging_up_is_an_answer_only_where_nothing_else_helps_and_silence_never() {
        for (good, hanging_up) in [
            (Good::Accepts, false),
            (Good::Refuses(401), false),
            (Good::Misdirected, false),
            (Good::RefusesOrHangsUp(413), true),
            (Good::GivesUp(408), true),
        ] {
            assert_eq!(good.is_met_by(&Reaction::HungUp), hanging_up, "{good}");
            let silent = [
                Reaction::Nothing(Duration::from_secs(3)),
                Reaction::NotHttp,
                Reaction::Unreachable(String::new()),
            ];
            assert!(!silent.iter().any(|reaction| good.is_met_by(reaction)), "{good}");
        }
    }
}
