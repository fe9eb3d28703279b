//! What EC2 says when it does not answer.

use std::fmt;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use serde::Deserialize;

use super::Ec2Error;

/// The longest message of EC2 that is kept, in characters: it ends up in reports.
const MESSAGE_CHARS_MAX: usize = 500;

/// An error answer of EC2. Which codes are worth another try is decided by the SDK's own classifiers.
#[derive(Debug)]
pub(super) struct Fault {
    status: u16,
    said: ErrorMetadata,
}

impl Fault {
    /// Reads EC2's error document. A body that is none, a proxy's page for example, leaves a fault without a code.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let document: Document = quick_xml::de::from_str(&text).unwrap_or_default();
        let Some(error) = document.errors.error.into_iter().next() else {
            return Self { status, said: ErrorMetadata::builder().build() };
        };
        let message: String = error.message.chars().take(MESSAGE_CHARS_MAX).collect();
        Self { status, said: ErrorMetadata::builder().code(error.code).message(message).build() }
    }

    /// Whether the same request may succeed later: then the tries are used up, and nobody was refused anything.
    pub(super) fn into_error(self) -> Ec2Error {
        match self.said.code() {
            Some(code) if self.status < 500 && !is_passing(code) => Ec2Error::Refused {
                code: code.to_owned(),
                message: self.said.message().unwrap_or("no message").to_owned(),
            },
            _ => Ec2Error::Unavailable(Box::new(self)),
        }
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

/// `<Response><Errors><Error><Code/><Message/></Error></Errors></Response>`. Source: EC2 developer guide, "Error
/// responses".
#[derive(Default, Deserialize)]
struct Document {
    #[serde(default, rename = "Errors")]
    errors: Errors,
}

#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default, rename = "Error")]
    error: Vec<ErrorElement>,
}

#[derive(Deserialize)]
struct ErrorElement {
    #[serde(rename = "Code")]
    code: String,
    #[serde(default, rename = "Message")]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(code: &str, message: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>
            <RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#
        )
    }

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let text = match Fault::read(status, body.as_bytes()).into_error() {
            Ec2Error::Unavailable(source) => format!("unavailable: {source}"),
            error => error.to_string(),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn a_refusal_keeps_code_and_message() {
        check(
            403,
            &document("UnauthorizedOperation", "You are not &quot;authorized&quot;."),
            r#"EC2 refused DescribeInstances: UnauthorizedOperation: You are not "authorized"."#,
        );
        check(400, &document("InvalidNextToken", ""), "EC2 refused DescribeInstances: InvalidNextToken: ");
    }

    #[test]
    fn throttles_and_failures_of_ec2_are_no_refusals() {
        check(
            503,
            &document("RequestLimitExceeded", "Request limit exceeded."),
            "unavailable: RequestLimitExceeded: Request limit exceeded. (status 503)",
        );
        check(400, &document("Throttling", "slow down"), "unavailable: Throttling: slow down (status 400)");
        check(500, &document("InternalError", "oops"), "unavailable: InternalError: oops (status 500)");
    }

    #[test]
    fn what_is_no_error_document_is_a_fault_without_a_code() {
        for body in
            ["", "<html><h1>Bad gateway</h1>", "{}", "<Response/>", "<Response><Errors/></Response>", "\u{0}"]
        {
            check(502, body, "unavailable: status 502 without an error code");
            check(403, body, "unavailable: status 403 without an error code");
        }
    }

    #[test]
    fn a_message_without_end_is_cut() {
        let fault = Fault::read(400, document("Code", &"ü".repeat(100_000)).as_bytes());
        assert_eq!(fault.said.message().map(|message| message.chars().count()), Some(MESSAGE_CHARS_MAX));
    }
}
