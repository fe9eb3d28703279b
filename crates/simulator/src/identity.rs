//! Who signed a request: the access key, session token and Region of its signature.
//!
//! Signatures are not checked. Each access key is a separate IAM user, unless `AssumeRole` made it (`sts`).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use md5::{Digest as _, Md5};

/// The identity of a request without credentials.
pub(crate) const NOBODY: &str = "AIDACKCEVSQ6C2EXAMPLE";
/// What unique ids are written with.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The unique id of the IAM user with this access key: what STS calls its `UserId` and SQS its `SenderId`.
///
/// The same for the same key: `AIDA` and 17 characters.
pub fn user_id(access_key: &str) -> String {
    format!("AIDA{}", unique(access_key))
}

/// 17 characters, the same for the same name.
pub(crate) fn unique(name: &str) -> String {
    let digest = Md5::digest(name);
    let characters = digest.iter().chain(&digest).take(17);
    characters.filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).map(|&c| char::from(c))).collect()
}

/// What a request says of its signer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signer {
    /// Access key; empty without a signature.
    pub(crate) access_key: String,
    /// Session token; only temporary credentials have one.
    pub(crate) token: Option<String>,
    /// The Region of the credential scope.
    pub(crate) region: Option<String>,
}

impl Signer {
    /// Reads the credential scope of Signature Version 4, `KEY/DATE/REGION/SERVICE/aws4_request`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let header = text(AUTHORIZATION.as_str()).unwrap_or_default();
        let scope = header.split_once("Credential=").map(|(_, rest)| rest).unwrap_or_default();
        let scope = scope.split([',', ' ']).next().unwrap_or_default();
        let mut parts = scope.split('/');
        Self {
            access_key: parts.next().unwrap_or_default().to_owned(),
            token: text("x-amz-security-token").map(str::to_owned),
            region: parts.nth(1).filter(|region| !region.is_empty()).map(str::to_owned),
        }
    }
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
    fn the_signer_is_in_the_signature() {
        let mut headers = HeaderMap::new();
        assert_eq!(Signer::of(&headers), Signer::default());
        let signed = "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/sqs/aws4_request, Signature=x";
        headers.insert(AUTHORIZATION, signed.parse().expect("a header"));
        let found = Signer::of(&headers);
        assert_eq!((found.access_key.as_str(), found.region.as_deref()), ("AKIA1", Some("us-east-1")));
        headers.insert(
            AUTHORIZATION,
            "AWS4-HMAC-SHA256 Credential=AKIA1, Signature=x".parse().expect("a header"),
        );
        assert_eq!(Signer::of(&headers), Signer { access_key: "AKIA1".to_owned(), ..Signer::default() });
    }
}
