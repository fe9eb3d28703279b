//! The AWS clients: ECS, EC2, SQS, STS, DynamoDB, Secrets Manager, SSM and CloudWatch. Created once, with counters and within the
//! budget. Those of other accounts and regions are derived from them.

use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};

pub mod budget;
pub mod calls;
mod client_config;
pub mod ecs;
mod error;
mod fail_fast;
pub mod identity;
mod load;
pub mod minimal;
mod pages;
mod response_limit;
mod role_session;
pub mod roles;
mod skew;

use budget::{AccountRegion, Budget, Throttles};
use calls::Calls;
use fail_fast::FailFast;
use load::{Endpoints, Profiles};
use minimal::cloudwatch::CloudWatch;
use minimal::ec2::Ec2;
use minimal::nodes::Nodes;
use minimal::secrets::Secrets;
use response_limit::AnswerLimit;
use roles::Roles;
use skew::Skew;

pub use error::{AwsError, AwsErrorKind, AwsService, CallError};
pub use load::{LoadError, account_of, region_of};
pub(crate) use role_session::{ASSUME_ROLE, RoleSession};

use crate::base::Clock;

/// The application's name in the user agent.
const APP_NAME: &str = concat!("ecs-task-notifier-", env!("CARGO_PKG_VERSION"));

/// Waits before a missing item is requested again: ECS and EC2 are eventually consistent. Source: ECS API reference,
/// `RunTask`; EC2 Developer Guide, "Eventual consistency".
const AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];

/// Options of the clients that take precedence over the environment and the profile.
#[derive(Clone, Debug, Default)]
pub struct AwsOptions {
    /// Region; takes precedence over `AWS_REGION` and the profile.
    pub region: Option<String>,
    /// Profile; takes precedence over `AWS_PROFILE` and over credentials of the environment.
    pub profile: Option<String>,
    /// Endpoint for all services; takes precedence over every `AWS_ENDPOINT_URL…` and over the profile.
    pub endpoint_url: Option<String>,
    /// The budget of requests.
    pub budget: Budget,
    /// The roles that may be assumed in other accounts.
    pub roles: Roles,
    /// Whether an interactive command waits for the answers: then an endpoint that has never answered fails fast.
    pub attended: bool,
}

/// The clients of one account and region. Clones share their connections, counts and budget.
#[derive(Clone, Debug)]
pub struct Aws {
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// STS.
    pub sts: aws_sdk_sts::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// EC2.
    pub ec2: Ec2,
    /// The managed nodes of Systems Manager: machines outside AWS.
    pub nodes: Nodes,
    /// Secrets Manager and the parameters of Systems Manager.
    pub secrets: Secrets,
    /// The alarms of CloudWatch.
    pub cloudwatch: CloudWatch,
    /// Every request of these clients, counted.
    pub calls: Calls,
    /// The budget, to wait for before a call to ECS. The clients of EC2 and of nodes wait themselves, and SQS has no
    /// shared limit.
    pub budget: Budget,
    /// The region, if one is set.
    pub region: Option<String>,
    /// The difference between the clocks of this machine and of AWS.
    pub skew: Skew,
    /// The roles that may be assumed in other accounts.
    pub roles: Roles,
    /// The configuration of these clients, from which those of other accounts and regions are derived.
    pub config: Box<SdkConfig>,
}

impl Aws {
    /// The clients with the settings of `options`, the environment and the profile, in this order.
    ///
    /// Region, credentials (including SSO and `credential_process`), endpoints, FIPS, dual stack and proxies are found as in
    /// every AWS tool; only number and mode of retries are different. Makes no request, except to the instance metadata
    /// service if no region is set: wrong credentials show at the first request, a missing region in
    /// [`in_region`](Self::in_region).
    pub async fn load(options: AwsOptions) -> Result<Self, LoadError> {
        let profiles = Profiles::load(options.profile.as_deref()).await?;
        let (http, timeouts) =
            (client_config::https(options.attended), client_config::timeouts(options.attended));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .retry_config(client_config::retries())
            .timeout_config(timeouts)
            .profile_name(profiles.selected());
        if let Some(region) = options.region {
            loader = loader.region(Region::new(region));
        }
        let has_endpoint = options.endpoint_url.is_some();
        if let Some(endpoint_url) = options.endpoint_url {
            load::checked("--endpoint-url", &endpoint_url)?;
            loader = loader.endpoint_url(endpoint_url);
        }
        let config = loader.load().await;
        let mut builder = config.to_builder();
        if !has_endpoint {
            builder = builder.service_config(Endpoints::of(&config, &profiles)?);
            // The endpoint for all services is included in the endpoints of each.
            builder.set_endpoint_url(None);
        }
        if let Some(name) = options.profile {
            let region = config.region().cloned();
            let of = ProviderConfig::without_region().with_http_client(http).with_region(region);
            let credentials = load::credentials(&name, &of);
            builder.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
        }
        let home = Self::from_sdk_config(builder.build(), options.budget);
        Ok(Self { roles: options.roles, ..home })
    }

    /// These clients, if they have a region.
    pub fn in_region(self) -> Result<Self, LoadError> {
        load::region(self.region.as_deref())?;
        Ok(self)
    }

    /// The time of day, corrected if this machine's clock is wrong.
    pub fn clock(&self) -> Clock {
        self.skew.corrected()
    }

    /// Clients for a simulator at this plain-HTTP address, with fake credentials and without a budget. Ignores environment
    /// and profile.
    pub fn at(endpoint_url: &str, region: &str) -> Self {
        let credentials = Credentials::new("simulator", "simulator", None, None, "simulator");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(client_config::http())
            .retry_config(client_config::retries())
            .timeout_config(client_config::timeouts(false))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint_url);
        Self::from_sdk_config(config.build(), Budget::unlimited())
    }

    /// Clients with a configuration of the caller's own: credentials, HTTP client, endpoints, time-outs and retries.
    pub fn from_sdk_config(config: SdkConfig, budget: Budget) -> Self {
        let mut config = config.into_builder();
        config.set_app_name(AppName::new(APP_NAME).ok());
        Self::build(config.build(), budget, Calls::default(), Skew::new(Clock::system()))
    }

    /// Clients for another region, or with the credentials of a role. Counters and clock are shared; the budget is
    /// separate.
    pub(crate) fn elsewhere(&self, region: &str, session: Option<&RoleSession>) -> Self {
        let mut config = self.config.to_builder().region(Region::new(region.to_owned()));
        if let Some(session) = session {
            session.apply(&mut config);
        }
        let account = session.and_then(RoleSession::account).map(str::to_owned);
        let budget = self.budget.separate(AccountRegion { account, region: Some(region.to_owned()) });
        let place = Self::build(config.build(), budget, self.calls.clone(), self.skew.clone());
        Self { roles: self.roles.clone(), ..place }
    }

    fn build(config: SdkConfig, budget: Budget, calls: Calls, skew: Skew) -> Self {
        // Each SDK has a builder type of its own.
        macro_rules! client {
            ($sdk:ident, $service:literal) => {{
                let builder = $sdk::config::Builder::from(&config)
                    .retry_partition(client_config::partition($service))
                    .retry_classifier(FailFast)
                    .interceptor(calls.clone())
                    .interceptor(skew.clone())
                    .interceptor(Throttles(budget.clone()))
                    .interceptor(AnswerLimit);
                $sdk::Client::from_conf(builder.build())
            }};
        }
        let sts = aws_sdk_sts::config::Builder::from(&config)
            .retry_partition(client_config::partition("sts"))
            .interceptor(calls.clone())
            .interceptor(AnswerLimit);
        Self {
            ecs: client!(aws_sdk_ecs, "ecs"),
            sqs: client!(aws_sdk_sqs, "sqs"),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            dynamodb: client!(aws_sdk_dynamodb, "dynamodb"),
            ec2: Ec2::new(&config, calls.clone(), budget.clone()),
            nodes: Nodes::new(&config, calls.clone(), budget.clone()),
            secrets: Secrets::new(&config, &calls),
            cloudwatch: CloudWatch::new(&config, calls.clone()),
            calls,
            budget,
            region: config.region().map(ToString::to_string),
            skew,
            roles: Roles::default(),
            config: Box::new(config),
        }
    }
}
