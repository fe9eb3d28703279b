//! References to secrets: `env:NAME`, `file:PATH`, `secretsmanager:ID`, `ssm:NAME`. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use wire::signature::{HMAC_KEY_PREFIX, PRIVATE_KEY_PREFIX};

use crate::model::arn::Arn;

/// The most references that one setting lists.
pub const REFERENCES_MAX: usize = 8;
/// The longest reference: a path on Linux, and more than the 2,048 bytes of an ARN.
const REFERENCE_BYTES_MAX: usize = 4096;

/// A reference to a secret. A [`Vault`](super::Vault) reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// An environment variable of this process.
    Env(String),
    /// A file, read again when it changes.
    File(PathBuf),
    /// A secret of Secrets Manager, by name or ARN.
    SecretsManager(String),
    /// A parameter of Systems Manager, by name or ARN.
    Ssm(String),
}

/// Why a text is not a reference. Never repeats it: it may be the secret itself, set by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RefError(String);

impl SecretRef {
    /// Reads references that are separated by commas.
    pub fn list(text: &str) -> Result<Vec<Self>, RefError> {
        let parts = || text.split(',').map(str::trim);
        match parts().take(REFERENCES_MAX + 1).count() {
            _ if text.trim().is_empty() => Err(RefError("there is no reference".to_owned())),
            count if count > REFERENCES_MAX => {
                Err(RefError(format!("there are more than {REFERENCES_MAX} references")))
            }
            _ => parts().map(str::parse).collect(),
        }
    }

    /// Whether it is stored in AWS.
    pub fn is_in_aws(&self) -> bool {
        matches!(self, Self::SecretsManager(_) | Self::Ssm(_))
    }
}

impl FromStr for SecretRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let error = |problem: &str| Err(RefError(problem.to_owned()));
        let is_key = [HMAC_KEY_PREFIX, PRIVATE_KEY_PREFIX].iter().any(|prefix| text.contains(prefix));
        if is_key && !text.starts_with("file:") {
            return error(
                "this is the key itself, and others may see settings: store the key, and set a reference such as `file:PATH`",
            );
        }
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(RefError(format!("the reference is longer than {REFERENCE_BYTES_MAX} bytes")));
        }
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("env", _)) => {
                error("`env:` needs the name of an environment variable: letters, digits and `_`")
            }
            Some(("file", path)) if is_path(path) => Ok(Self::File(Path::new(path).to_owned())),
            Some(("file", _)) => error("`file:` needs a path without control characters and commas"),
            Some(("secretsmanager", id)) if is_secret(id) => Ok(Self::SecretsManager(id.to_owned())),
            Some(("secretsmanager", _)) => error("`secretsmanager:` needs the name or the ARN of a secret"),
            Some(("ssm", name)) if is_parameter(name) => Ok(Self::Ssm(name.to_owned())),
            Some(("ssm", _)) => error("`ssm:` needs the name or the ARN of a parameter"),
            _ => error(
                "a reference is `env:NAME`, `file:PATH`, `secretsmanager:NAME-OR-ARN` or `ssm:NAME-OR-ARN`",
            ),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::SecretsManager(id) => write!(f, "secretsmanager:{id}"),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.chars().any(|c| c.is_control() || c == ',')
}

/// Source: Secrets Manager API reference, `CreateSecret`.
fn is_secret(id: &str) -> bool {
    let is_name = |name: &str| {
        (1..=512).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b))
    };
    match arn(id) {
        Some(("secretsmanager", resource)) => resource.strip_prefix("secret:").is_some_and(is_name),
        Some(_) => false,
        None => is_name(id),
    }
}

/// Source: Systems Manager API reference, `GetParameter`: a name may have a version or a label behind a colon.
fn is_parameter(name: &str) -> bool {
    let is_name = |name: &str| {
        let (name, selector) = name.split_once(':').unwrap_or((name, "1"));
        let is_word = |word: &str, more: &[u8]| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        name.len() <= 2048 && is_word(name, b"/_.-") && is_word(selector, b"_.-")
    };
    match arn(name) {
        Some(("ssm", resource)) => resource.strip_prefix("parameter/").is_some_and(is_name),
        Some(_) => false,
        None => is_name(name),
    }
}

/// Service and resource of an ARN; `None` for a name.
fn arn(text: &str) -> Option<(&str, &str)> {
    let arn = Arn::parse(text).filter(|arn| !arn.region.is_empty() && !arn.account.is_empty());
    // A malformed ARN is not a name either.
    text.starts_with("arn:").then(|| arn.map_or(("", ""), |arn| (arn.service, arn.resource)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_as_it_is_written() {
        for text in [
            "env:NOTIFIER_KEY",
            "env:_k1",
            "file:/run/secrets/key",
            "file:relative path.txt",
            "file:whsec_named",
            "secretsmanager:prod/notifier+1=a.b@c-d",
            "secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/notifier-AbCdEf",
            "secretsmanager:arn:aws-us-gov:secretsmanager:us-gov-west-1:111122223333:secret:n-AbCdEf",
            "ssm:/prod/notifier",
            "ssm:notifier:3",
            "ssm:/prod/notifier:label_1",
            "ssm:arn:aws:ssm:eu-west-1:111122223333:parameter/prod/notifier",
        ] {
            assert_eq!(text.parse::<SecretRef>().map(|found| found.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_reference_says_what_would_be() {
        for (text, says) in [
            ("NOTIFIER_KEY", "a reference is `env:NAME`"),
            ("env:A-B", "`env:` needs"),
            ("file:/a\nb", "`file:` needs"),
            ("file:/a,b", "`file:` needs"),
            ("secretsmanager:", "`secretsmanager:` needs"),
            ("secretsmanager:arn:aws:secretsmanager:eu-west-1:1", "`secretsmanager:` needs"),
            ("secretsmanager:arn:aws:secretsmanager::1:secret:x", "`secretsmanager:` needs"),
            ("ssm:", "`ssm:` needs"),
            ("ssm:a b", "`ssm:` needs"),
            ("ssm:arn:aws:secretsmanager:eu-west-1:1:secret:x", "`ssm:` needs"),
            ("env:whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "this is the key itself"),
        ] {
            let error = text.parse::<SecretRef>().unwrap_err().to_string();
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_list_has_a_first_and_a_last() {
        let two = SecretRef::list("env:A, file:/b").unwrap();
        assert_eq!(two, [SecretRef::Env("A".into()), SecretRef::File("/b".into())]);
        let error = |text: &str| SecretRef::list(text).unwrap_err().to_string();
        assert_eq!(error(" "), "there is no reference");
        assert!(error("env:A,").starts_with("a reference is `env:NAME`"));
    }

    proptest::proptest! {
        /// The error never repeats the text.
        #[test]
        fn an_error_never_repeats_the_text(text in "[a-z:/_]{0,8}whsec_[A-Za-z0-9+/=]{32}") {
            if let Err(error) = text.parse::<SecretRef>() {
                let key = text.split("whsec_").last().unwrap();
                proptest::prop_assert!(!error.to_string().contains(key));
                let debug = format!("{error:?}");
                proptest::prop_assert!(!debug.contains(key));
            }
        }
    }
}
