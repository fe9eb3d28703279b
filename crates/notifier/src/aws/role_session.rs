//! The credentials of a role in another account, by STS `AssumeRole` with the credentials of this process.
//!
//! Instead of the SDK's `AssumeRoleProvider`: that one has no interceptors, so its requests would not be counted and its
//! answers not limited, and its errors would lose their kind.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_types::sdk_config;

use super::error::RoleFailure;
use super::fail_fast::FailFast;
use super::response_limit::AnswerLimit;
use super::roles::SESSION_NAME;
use super::{Aws, AwsError, AwsService, client_config};
use crate::base::text::printable;
use crate::model::arn::Arn;

pub(crate) const ASSUME_ROLE: &str = "AssumeRole";

/// Credentials are renewed this long before they expire, less the SDK's jitter of up to a half, so that a request with
/// them arrives in time although two clocks differ.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);
/// The most characters of a role's ARN in an error.
const ROLE_CHARS_MAX: usize = 200;

/// The session of a role: its credentials, renewed before they expire. Clones share them, and so do all regions.
#[derive(Clone, Debug)]
pub(crate) struct RoleSession {
    account: Option<String>,
    credentials: SharedCredentialsProvider,
    /// A separate cache: the SDK's caches hold a limited number of identities.
    cache: SharedIdentityCache,
}

impl RoleSession {
    /// A session of this role. STS is asked in the region of `home`, at the first call that needs the credentials.
    pub(crate) fn new(home: &Aws, role: &str) -> Self {
        let config: &SdkConfig = &home.config;
        let sts = aws_sdk_sts::config::Builder::from(config)
            .retry_partition(client_config::partition("sts"))
            .retry_classifier(FailFast)
            .interceptor(home.calls.clone())
            .interceptor(home.skew.clone())
            .interceptor(AnswerLimit);
        let account = Arn::parse(role).and_then(|role| role.account()).map(str::to_owned);
        let role = Role {
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            arn: role.to_owned(),
            external_id: home.roles.external_id().map(str::to_owned),
        };
        Self {
            account,
            credentials: SharedCredentialsProvider::new(role),
            cache: IdentityCache::lazy().buffer_time(RENEWED_BEFORE).build(),
        }
    }

    /// The account of the role.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Makes the clients of a configuration use these credentials.
    pub(super) fn apply(&self, config: &mut sdk_config::Builder) {
        config.set_credentials_provider(Some(self.credentials.clone()));
        config.set_identity_cache(Some(self.cache.clone()));
    }
}

/// A role, and how it is assumed.
#[derive(Debug)]
struct Role {
    sts: aws_sdk_sts::Client,
    arn: String,
    external_id: Option<String>,
}

impl Role {
    async fn assume(&self) -> provider::Result {
        let call = self.sts.assume_role().role_arn(&self.arn).role_session_name(SESSION_NAME);
        let answer = call.set_external_id(self.external_id.clone()).send().await;
        let answer = answer.map_err(|error| AwsError::of(AwsService::Sts, ASSUME_ROLE, &error));
        answer.and_then(credentials).map_err(|error| {
            let account = Arn::parse(&self.arn).map_or("", |arn| arn.account);
            let arn = printable(&self.arn, ROLE_CHARS_MAX);
            let error = error.about(&format!("role {arn} of account {account}"));
            CredentialsError::provider_error(RoleFailure(error))
        })
    }
}

fn credentials(answer: AssumeRoleOutput) -> Result<Credentials, AwsError> {
    let unusable = |what| AwsError::unusable(AwsService::Sts, ASSUME_ROLE, what);
    let found = answer.credentials.ok_or_else(|| unusable("the answer has no credentials"))?;
    let expiry = SystemTime::try_from(found.expiration);
    let expiry = expiry.map_err(|_| unusable("the answer has no valid time of expiry"))?;
    let (id, key, token) = (found.access_key_id, found.secret_access_key, found.session_token);
    Ok(Credentials::new(id, key, Some(token), Some(expiry), ASSUME_ROLE))
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
