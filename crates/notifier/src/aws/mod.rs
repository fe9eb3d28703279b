//! The clients: ECS, EC2, SQS, STS and the two keepers of secrets. Set up once, counted, and kept within our share of AWS's
//! throttles.

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
mod skew;

use budget::Budget;
use calls::Calls;
use fail_fast::FailFast;
use load::{Endpoints, Profiles};
use minimal::ec2::Ec2;
use minimal::secrets::Secrets;
use response_limit::AnswerLimit;
use skew::Skew;

pub use error::{AwsError, AwsErrorKind, AwsService};
pub use load::{LoadError, account_of, region_of};

use crate::base::Clock;

/// How we introduce ourselves to AWS, in the user agent.
const APP_NAME: &str = concat!("ecs-task-notifier-", env!("CARGO_PKG_VERSION"));

/// Waits before ECS or EC2 is asked again for what it does not know. Their answers agree only after a while: one may not
/// yet know what another has just named. Source: ECS API reference, `RunTask`; EC2 Developer Guide, "Eventual consistency".
const AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];

/// How to reach AWS, where that differs from what the environment and the profile say.
#[derive(Clone, Debug, Default)]
pub struct AwsOptions {
    /// Region, before `AWS_REGION` and the profile's.
    pub region: Option<String>,
    /// Profile of the AWS configuration files, before `AWS_PROFILE` and before credentials of the environment.
    pub profile: Option<String>,
    /// One endpoint for all services, before every `AWS_ENDPOINT_URL…` and every profile's.
    pub endpoint_url: Option<String>,
    /// Our share of AWS's throttles.
    pub budget: Budget,
    /// Whether somebody waits for the answers: then an endpoint that has never answered is given up soon.
    pub attended: bool,
}

/// The clients of one account and region. Clones share their connections, counts and budget.
#[derive(Clone, Debug)]
pub struct Aws {
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// STS: who we are.
    pub sts: aws_sdk_sts::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// EC2.
    pub ec2: Ec2,
    /// Secrets Manager and the parameters of Systems Manager.
    pub secrets: Secrets,
    /// Every request of these clients, counted.
    pub calls: Calls,
    /// Our share of AWS's throttles, to wait for before a call to ECS. EC2 waits by itself, SQS has no limit to share.
    pub budget: Budget,
    /// The region, where one is set.
    pub region: Option<String>,
    /// How far this machine's clock is from AWS's.
    pub skew: Skew,
}

impl Aws {
    /// The clients that `options`, the environment and the profile describe, in this order.
    ///
    /// Region, credentials (SSO and `credential_process` included), endpoints, FIPS, dual stack and proxies are found as
    /// in every AWS tool; only the number and mode of retries are ours. Nothing is sent yet, unless a region is only to
    /// be had from the instance metadata service: wrong credentials show at the first request, a missing region in
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
            // What holds for all services is among the endpoints of each.
            builder.set_endpoint_url(None);
        }
        if let Some(name) = options.profile {
            let region = config.region().cloned();
            let of = ProviderConfig::without_region().with_http_client(http).with_region(region);
            let credentials = load::credentials(&name, &of);
            builder.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
        }
        Ok(Self::from_sdk_config(builder.build(), options.budget))
    }

    /// These clients, when they know in which region to ask.
    pub fn in_region(self) -> Result<Self, LoadError> {
        load::region(self.region.as_deref())?;
        Ok(self)
    }

    /// The time of day, right even where this machine's clock is not.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.skew.corrected()
    }

    /// Clients for a simulator at this plain-HTTP address, with made-up credentials and no budget. Reads no environment
    /// and no profile.
    #[must_use]
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
    #[must_use]
    pub fn from_sdk_config(config: SdkConfig, budget: Budget) -> Self {
        let mut config = config.into_builder();
        config.set_app_name(AppName::new(APP_NAME).ok());
        let config = config.build();
        let (calls, skew) = (Calls::default(), Skew::new(Clock::system()));
        // Each SDK has a builder type of its own.
        macro_rules! client {
            ($sdk:ident, $service:literal) => {{
                let builder = $sdk::config::Builder::from(&config)
                    .retry_partition(client_config::partition($service))
                    .retry_classifier(FailFast)
                    .interceptor(calls.clone())
                    .interceptor(skew.clone())
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
            secrets: Secrets::new(&config, &calls),
            calls,
            budget,
            region: config.region().map(ToString::to_string),
            skew,
        }
    }
}
