//! Error answers as the services write them. Without a code where it is none: a proxy's page, for example.

use aws_smithy_types::error::metadata::ErrorMetadata;
use serde::Deserialize;

/// Reads an error answer in JSON, `{"__type": "namespace#Code", "message": "…"}`.
///
/// Source: AWS JSON 1.1 protocol, "Operation error serialization".
pub(in crate::aws) fn read_json(body: &[u8]) -> ErrorMetadata {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "__type")]
        kind: String,
        #[serde(default, alias = "Message")]
        message: String,
    }
    let mut metadata = ErrorMetadata::builder();
    if let Ok(Document { kind, message }) = serde_json::from_slice(body) {
        let code = kind.rsplit('#').next().and_then(|code| code.split(':').next());
        metadata = metadata.code(code.unwrap_or_default()).message(message);
    }
    metadata.build()
}

/// Reads EC2's error answer, `<Response><Errors><Error><Code/><Message/></Error></Errors></Response>`.
///
/// Source: EC2 developer guide, "Error responses".
pub(in crate::aws) fn read_xml(body: &[u8]) -> ErrorMetadata {
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
    #[serde(rename_all = "PascalCase")]
    struct ErrorElement {
        code: String,
        #[serde(default)]
        message: String,
    }
    let document: Document = quick_xml::de::from_str(&String::from_utf8_lossy(body)).unwrap_or_default();
    let mut metadata = ErrorMetadata::builder();
    if let Some(ErrorElement { code, message }) = document.errors.error.into_iter().next() {
        metadata = metadata.code(code).message(message);
    }
    metadata.build()
}
