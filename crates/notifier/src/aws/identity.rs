//! The AWS identity of this process, from STS.
//!
//! `aws-config` includes the STS client already, so there is no further dependency.

use std::time::Duration;

use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use tokio::time::timeout;

use super::{Aws, AwsError, AwsService, CallError};

/// Time limit at start. In a subnet without a route to STS there is no answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Prefix of the unique id of a role. Source: IAM User Guide, "IAM identifiers", unique ID prefixes.
const ROLE: &str = "AROA";

const OPERATION: &str = "GetCallerIdentity";

const NO_CALLER: CallError = CallError::Answer("the answer of STS to GetCallerIdentity has no caller");

/// The unique id of the user or role whose credentials these clients use. Every session of a role has the same.
///
/// # Errors
///
/// [`CallError`], after ten seconds at the latest.
pub async fn unique_id(aws: &Aws) -> Result<String, CallError> {
    let id = ask(&aws.sts, ANSWER_TIME_MAX).await?.user_id;
    let id = id.filter(|id| !id.is_empty()).ok_or(NO_CALLER)?;
    Ok(without_session(&id).to_owned())
}

/// The number of the account whose credentials this client uses.
///
/// # Errors
///
/// [`CallError`], after `wait_max` at the latest.
pub async fn account(sts: &aws_sdk_sts::Client, wait_max: Duration) -> Result<String, CallError> {
    let account = ask(sts, wait_max).await?.account;
    account.filter(|account| !account.is_empty()).ok_or(NO_CALLER)
}

async fn ask(sts: &aws_sdk_sts::Client, wait_max: Duration) -> Result<GetCallerIdentityOutput, CallError> {
    let asked = timeout(wait_max, sts.get_caller_identity().send()).await;
    let answer = asked.map_err(|_| AwsError::timed_out(AwsService::Sts, OPERATION, wait_max))?;
    Ok(answer.map_err(|error| AwsError::of(AwsService::Sts, OPERATION, &error))?)
}

/// A role's session is `AROA…:NAME`. Federated users are `ACCOUNT:NAME`, without a unique id.
fn without_session(id: &str) -> &str {
    match id.split_once(':') {
        Some((role, _)) if role.starts_with(ROLE) => role,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_role() {
        assert_eq!(without_session("AROAEXAMPLE:i-1"), "AROAEXAMPLE");
        assert_eq!(without_session("AIDAEXAMPLE"), "AIDAEXAMPLE");
        assert_eq!(without_session("111122223333:anna"), "111122223333:anna");
    }
}
