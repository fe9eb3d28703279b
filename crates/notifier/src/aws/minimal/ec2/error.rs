//! What EC2 says when it does not answer.

use serde::Deserialize;

use super::Ec2Error;
use crate::aws::error::Fault;

/// Reads EC2's error document. A body that is none, a proxy's page for example, leaves a fault without a code.
pub(super) fn read(status: u16, body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body);
    let document: Document = quick_xml::de::from_str(&text).unwrap_or_default();
    let first = document.errors.error.into_iter().next();
    Fault::new(status, first.map(|error| (error.code, error.message)))
}

impl From<Fault> for Ec2Error {
    fn from(fault: Fault) -> Self {
        match fault.refusal() {
            Some((code, message)) => Self::Refused { code: code.to_owned(), message: message.to_owned() },
            None => Self::Unavailable(Box::new(fault)),
        }
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
        let text = match Ec2Error::from(read(status, body.as_bytes())) {
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
}
