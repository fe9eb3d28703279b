//! Error answers of EC2, in XML.

use aws_smithy_types::error::metadata::ErrorMetadata;
use serde::Deserialize;

/// Reads EC2's error document. Without a code if it is not one, for example a proxy's page.
pub(in crate::aws) fn read(body: &[u8]) -> ErrorMetadata {
    let text = String::from_utf8_lossy(body);
    let document: Document = quick_xml::de::from_str(&text).unwrap_or_default();
    let mut metadata = ErrorMetadata::builder();
    if let Some(ErrorElement { code, message }) = document.errors.error.into_iter().next() {
        metadata = metadata.code(code).message(message);
    }
    metadata.build()
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

    #[track_caller]
    fn check(body: &str, code: Option<&str>, message: Option<&str>) {
        let read = read(body.as_bytes());
        assert_eq!((read.code(), read.message()), (code, message), "{body}");
    }

    #[test]
    fn an_error_document_has_a_code_and_a_message() {
        let document = |code: &str, message: &str| {
            format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
                <Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>
                <RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#
            )
        };
        check(
            &document("UnauthorizedOperation", "You are not &quot;authorized&quot;."),
            Some("UnauthorizedOperation"),
            Some(r#"You are not "authorized"."#),
        );
        check(&document("InvalidNextToken", ""), Some("InvalidNextToken"), Some(""));
    }

    #[test]
    fn what_is_no_error_document_has_no_code() {
        for body in
            ["", "<html><h1>Bad gateway</h1>", "{}", "<Response/>", "<Response><Errors/></Response>", "\u{0}"]
        {
            check(body, None, None);
        }
    }
}
