//! The roles that may be assumed in other accounts: one for each account. Pure.
//!
//! A cluster's ARN in a message only selects an account. Its role comes from the settings, so that a message cannot make
//! this process assume a role of the sender's choice.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::base::text::quoted;
use crate::model::arn::Arn;

/// The most roles of a process.
const ROLES_MAX: usize = 256;
/// The most bytes of a role's path and name. Source: IAM API reference, `CreateRole`.
const ROLE_BYTES_MAX: usize = 512 + 64;
/// The most bytes of a role's name. Source: the same.
const NAME_BYTES_MAX: usize = 64;
/// The fewest and most bytes of an external id. Source: STS API reference, `AssumeRole`.
const EXTERNAL_ID_BYTES: std::ops::RangeInclusive<usize> = 2..=1_224;

/// Roles by account, and the external id that they require. An empty set assumes no role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// ARNs by account.
    arns: BTreeMap<String, String>,
    external_id: Option<String>,
}

/// Why a text is not a list of roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum RolesError {
    #[error("`{0}` is not the ARN of a role, such as `arn:aws:iam::111122223333:role/NAME`")]
    Form(String),
    #[error("account {0} has two roles; each account needs one")]
    Twice(String),
    #[error("the roles are in the partitions `{0}` and `{1}`; a role of another partition cannot be assumed")]
    Partitions(String, String),
    #[error("there are {0} roles, but the limit is {ROLES_MAX}")]
    TooMany(usize),
}

impl Roles {
    /// The same roles with this external id, which their trust policies may require.
    #[must_use]
    pub fn with_external_id(self, external_id: Option<String>) -> Self {
        Self { external_id, ..self }
    }

    /// The ARN of the role to assume in this account.
    pub fn of(&self, account: &str) -> Option<&str> {
        self.arns.get(account).map(String::as_str)
    }

    /// The external id.
    pub fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }
}

impl FromStr for Roles {
    type Err = RolesError;

    /// Reads ARNs of roles that are separated by commas.
    fn from_str(text: &str) -> Result<Self, RolesError> {
        let all: Vec<&str> = text.split(',').map(str::trim).collect();
        if all.len() > ROLES_MAX {
            return Err(RolesError::TooMany(all.len()));
        }
        let mut arns = BTreeMap::new();
        let mut first = None;
        for text in all {
            let arn = role(text).ok_or_else(|| RolesError::Form(quoted(text)))?;
            let partition = *first.get_or_insert(arn.partition);
            if partition != arn.partition {
                return Err(RolesError::Partitions(partition.to_owned(), arn.partition.to_owned()));
            }
            if arns.insert(arn.account.to_owned(), text.to_owned()).is_some() {
                return Err(RolesError::Twice(arn.account.to_owned()));
            }
        }
        Ok(Self { arns, external_id: None })
    }
}

/// The parts of a role's ARN, `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
///
/// Source: IAM User Guide, "IAM identifiers"; IAM API reference, `CreateRole`.
fn role(text: &str) -> Option<Arn<'_>> {
    let arn = Arn::parse(text)?;
    let path = arn.resource.strip_prefix("role/").filter(|path| path.len() <= ROLE_BYTES_MAX)?;
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=.@-".contains(&b))
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_valid = arn.service == "iam"
        && arn.region.is_empty()
        && (arn.partition == "aws" || arn.partition.starts_with("aws-"))
        && arn.account().is_some()
        && name.len() <= NAME_BYTES_MAX
        && path.split('/').all(is_part);
    is_valid.then_some(arn)
}

/// Whether this can be an external id. Source: STS API reference, `AssumeRole`.
pub(crate) fn is_external_id(text: &str) -> bool {
    EXTERNAL_ID_BYTES.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
}

/// A name for the sessions of this process: other accounts see it in their logs.
pub(super) const SESSION_NAME: &str = "ecs-task-notifier";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let roles: Roles = text.parse().map_err(|error: RolesError| error.to_string())?;
        Ok(roles.arns.into_iter().collect())
    }

    #[test]
    fn each_account_has_one_role() {
        let pair = |account: &str, arn: &str| (account.to_owned(), arn.to_owned());
        let (a, b) = ("arn:aws:iam::111122223333:role/notify", "arn:aws:iam::444455556666:role/ci/n+=.@-_1");
        assert_eq!(read(a), Ok(vec![pair("111122223333", a)]));
        assert_eq!(read(&format!("{b} , {a}")), Ok(vec![pair("111122223333", a), pair("444455556666", b)]));
        for partition in ["aws-cn", "aws-us-gov", "aws-eusc"] {
            let arn = format!("arn:{partition}:iam::111122223333:role/notify");
            assert_eq!(read(&arn), Ok(vec![pair("111122223333", &arn)]));
        }
        let twice = read(&format!("{a},arn:aws:iam::111122223333:role/other"));
        assert_eq!(twice, Err("account 111122223333 has two roles; each account needs one".to_owned()));
        let mixed = read(&format!("{a},arn:aws-cn:iam::444455556666:role/notify")).unwrap_err();
        assert!(mixed.contains("`aws` and `aws-cn`"), "{mixed}");
        let many: Vec<_> = (0..=ROLES_MAX).map(|n| format!("arn:aws:iam::{n:012}:role/r")).collect();
        assert_eq!(read(&many.join(",")), Err("there are 257 roles, but the limit is 256".to_owned()));
        assert_eq!(read(&many[1..].join(",")).map(|roles| roles.len()), Ok(ROLES_MAX));
    }

    #[test]
    fn only_the_arn_of_a_role_is_one() {
        let long = format!("arn:aws:iam::111122223333:role/{}", "r".repeat(NAME_BYTES_MAX + 1));
        for wrong in [
            "",
            "notify",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role//notify",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam::111122223333:user/anna",
            "arn:aws:iam::1111222233:role/notify",
            "arn:aws:iam:eu-west-1:111122223333:role/notify",
            "arn:aws:sts::111122223333:assumed-role/notify/session",
            "arn:awsome:iam::111122223333:role/notify",
            "arn:aws:iam::111122223333:role/notify,",
            &long,
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("is not the ARN of a role"), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_external_id_has_2_to_1224_characters() {
        for (text, expected) in [("a", false), ("ab", true), ("a b", false), ("A_1+=,.@:/-", true)] {
            assert_eq!(is_external_id(text), expected, "{text}");
        }
        assert!(is_external_id(&"x".repeat(1_224)) && !is_external_id(&"x".repeat(1_225)));
    }
}
