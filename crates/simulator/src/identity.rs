//! The caller's identity by a request's credentials, for STS and for the sender of SQS messages.
//!
//! Signatures are not checked. Each access key is a separate IAM user.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use md5::{Digest as _, Md5};

use crate::ec2::Form;
use crate::ec2::xml::Xml;
use crate::error::AwsError;

/// The identity of a request without credentials.
pub(crate) const NOBODY: &str = "AIDACKCEVSQ6C2EXAMPLE";
/// What unique ids are written with.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The namespace of STS's answers.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The unique id of the IAM user with this access key: what STS calls its `UserId` and SQS its `SenderId`.
///
/// The same for the same key: `AIDA` and 17 characters.
pub fn user_id(access_key: &str) -> String {
    let digest = Md5::digest(access_key);
    let characters = digest.iter().chain(&digest).take(17);
    let mut id = "AIDA".to_owned();
    id.extend(characters.filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).map(|&c| char::from(c))));
    id
}

/// The signer of a request, from its `Authorization` header.
pub(crate) fn caller(headers: &HeaderMap) -> String {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = text.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
    key.filter(|key| !key.is_empty()).map_or_else(|| NOBODY.to_owned(), user_id)
}

/// `GetCallerIdentity`, in the query protocol's XML.
///
/// Source: AWS Security Token Service API Reference.
pub(crate) fn call(
    operation: &str,
    caller: &str,
    account: &str,
    request_id: &str,
) -> Result<String, AwsError> {
    if operation != "GetCallerIdentity" {
        let message = format!("STS is simulated without the operation {operation}");
        return Err(AwsError::client("InvalidAction", message));
    }
    Ok(Xml::document(&format!("GetCallerIdentityResponse xmlns=\"{NAMESPACE}\""), |xml| {
        xml.element("GetCallerIdentityResult", |xml| {
            xml.leaf("Arn", format!("arn:aws:iam::{account}:user/{caller}"));
            xml.leaf("UserId", caller);
            xml.leaf("Account", account);
        });
        xml.element("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
    }))
}

/// Whether a form is a request to STS: the query protocol names no service, only a version of its API.
pub(crate) fn is_meant(form: &Form) -> bool {
    form.get("Version") == Some("2011-06-15")
}

/// An error as STS writes it.
pub(crate) fn error(error: &AwsError, request_id: &str) -> String {
    Xml::document(&format!("ErrorResponse xmlns=\"{NAMESPACE}\""), |xml| {
        xml.element("Error", |xml| {
            xml.leaf("Type", if error.is_senders() { "Sender" } else { "Receiver" });
            xml.leaf("Code", &error.code);
            xml.leaf("Message", &error.message);
        });
        xml.leaf("RequestId", request_id);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_access_key_is_a_user_of_its_own() {
        let id = user_id("simulator");
        assert_eq!(id, user_id("simulator"));
        assert!(id.len() == 21 && id.starts_with("AIDA"), "{id}");
        assert_ne!(id, user_id("stranger"));
    }

    #[test]
    fn the_caller_is_whoever_signed() {
        let mut headers = HeaderMap::new();
        assert_eq!(caller(&headers), NOBODY);
        let signed = "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/sqs/aws4_request, Signature=x";
        headers.insert(AUTHORIZATION, signed.parse().expect("a header"));
        assert_eq!(caller(&headers), user_id("AKIA1"));
    }
}
