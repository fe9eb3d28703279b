//! The clients: ECS, EC2 and SQS, set up once, counted, and kept within our share of AWS's throttles.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_sqs::config::{Credentials, Region};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

pub mod budget;
pub mod calls;
pub mod ec2;
pub mod ecs;

use budget::Budget;
use calls::Calls;
use ec2::Ec2;

/// How to reach AWS, where that differs from what the environment and the profile say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Region, before `AWS_REGION` and the profile's.
    pub region: Option<String>,
    /// Profile of the AWS configuration files, before `AWS_PROFILE`.
    pub profile: Option<String>,
    /// One endpoint for all three services, before every `AWS_ENDPOINT_URL`.
    pub endpoint_url: Option<String>,
    /// Our share of AWS's throttles.
    pub budget: Budget,
}

/// The clients of one account and region.
#[derive(Clone, Debug)]
pub struct Aws {
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// EC2.
    pub ec2: Ec2,
    /// Every request of these clients, counted.
    pub calls: Calls,
    /// Our share of AWS's throttles, to wait for before a call to ECS.
    pub budget: Budget,
}

impl Aws {
    /// The clients that the environment, the profile and `options` describe.
    pub async fn load(options: Options) -> Self {
        let _ = (Duration::ZERO, options.endpoint_url, Provider::Rustls(CryptoMode::Ring));
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = options.region {
            loader = loader.region(Region::new(region));
        }
        Self::new(&loader.load().await, options.budget)
    }

    /// Clients for a simulator at this address, with made-up credentials and no budget.
    pub async fn at(endpoint_url: &str, region: &str) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint_url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new("test", "test", None, None, "simulator"));
        Self::new(&loader.load().await, Budget::unlimited())
    }

    fn new(config: &aws_config::SdkConfig, budget: Budget) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            ec2: Ec2,
            calls: Calls::default(),
            budget,
        }
    }
}
