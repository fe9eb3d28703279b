//! What AWS says when it does not answer, whatever the protocol.

use std::fmt;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};

use crate::text::printable;

/// The longest message of AWS that is kept, in characters: it ends up in reports.
pub(crate) const MESSAGE_CHARS_MAX: usize = 500;

/// An error answer. Which codes are worth another try is decided by the SDK's own classifiers.
#[derive(Debug)]
pub(super) struct Fault {
    status: u16,
    said: ErrorMetadata,
}

impl Fault {
    /// An answer with this status, and AWS's code and message. Without a code, it may be a proxy's page.
    pub(super) fn new(status: u16, said: Option<(String, String)>) -> Self {
        let mut metadata = ErrorMetadata::builder();
        if let Some((code, message)) = said {
            metadata = metadata
                .code(printable(&code, MESSAGE_CHARS_MAX))
                .message(printable(&message, MESSAGE_CHARS_MAX));
        }
        Self { status, said: metadata.build() }
    }

    /// AWS's code and message when it understood the request and said no; `None` when the same request may succeed
    /// later: then the tries are used up, and nobody was refused anything.
    pub(super) fn refusal(&self) -> Option<(&str, &str)> {
        let code = self.said.code().filter(|code| self.status < 500 && !is_passing(code))?;
        Some((code, self.said.message().unwrap_or("no message")))
    }
}

fn is_passing(code: &str) -> bool {
    THROTTLING_ERRORS.contains(&code) || TRANSIENT_ERRORS.contains(&code)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, said } = self;
        match (said.code(), said.message()) {
            (Some(code), Some(message)) => write!(f, "{code}: {message} (status {status})"),
            (Some(code), None) => write!(f, "{code} (status {status})"),
            (None, _) => write!(f, "status {status} without an error code"),
        }
    }
}

impl std::error::Error for Fault {}

impl ProvideErrorMetadata for Fault {
    fn meta(&self) -> &ErrorMetadata {
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_end_is_cut() {
        let fault = Fault::new(400, Some(("Code".to_owned(), "ü".repeat(100_000))));
        assert_eq!(fault.said.message().map(|message| message.chars().count()), Some(MESSAGE_CHARS_MAX));
    }
}
