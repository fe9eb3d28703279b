//! Resolves the endpoint of a service without a generated client: the SDK's order of settings, and AWS's rules for host
//! names.

use aws_config::SdkConfig;
use aws_smithy_http::endpoint::ResolveEndpointError;
use aws_smithy_runtime_api::client::endpoint::{EndpointFuture, EndpointResolverParams, ResolveEndpoint};
use aws_smithy_types::endpoint::Endpoint;
use aws_types::service_config::ServiceConfigKey;

/// The partitions outside `amazonaws.com`: the prefix of their regions, and the DNS suffixes of their services without and
/// with dual stack. Source: botocore's `partitions.json`.
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

/// A service without a generated client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Its name in the SDKs, `EC2`; with underscores for spaces, the end of `AWS_ENDPOINT_URL_…`.
    pub id: &'static str,
    /// Prefix of its host names, and its signing name.
    pub host: &'static str,
    /// Special rules of its host names.
    pub rules: Rules,
}

/// How host names depend on FIPS and dual stack. Source: botocore's endpoint rule sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// In `GovCloud` the plain host is the FIPS one, except for dual stack.
    PlainInGovCloud,
    /// The plain hosts serve dual stack too.
    AlwaysDualStack,
}

/// The settings that decide the endpoint.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    service: Service,
    /// A custom endpoint.
    custom: Option<String>,
    region: Option<String>,
    fips: bool,
    dual_stack: bool,
}

/// Why there is no endpoint, by the rules of the SDKs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("no AWS region is set (AWS_REGION, or the profile's `region`)")]
    NoRegion,
    #[error("`{0}` is not the name of a region")]
    Region(String),
    #[error("FIPS and a custom endpoint cannot be combined")]
    CustomFips,
    #[error("dual stack and a custom endpoint cannot be combined")]
    CustomDualStack,
}

impl Settings {
    /// The settings of `config`. As in the SDK's generated clients, endpoints of one service take precedence over those of
    /// all services.
    pub(super) fn of(service: Service, config: &SdkConfig) -> Self {
        let own = || {
            let key = ServiceConfigKey::builder()
                .service_id(service.id)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url");
            config.service_config()?.load_config(key.build().ok()?)
        };
        let from_code = config.get_origin("endpoint_url").is_client_config();
        let custom = if from_code { None } else { own() };
        Self {
            service,
            custom: custom.or_else(|| config.endpoint_url().map(str::to_owned)),
            region: config.region().map(ToString::to_string),
            fips: config.use_fips().unwrap_or_default(),
            dual_stack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    /// Source: botocore's endpoint rule sets.
    fn url(&self) -> Result<String, EndpointError> {
        if let Some(custom) = &self.custom {
            return match (self.fips, self.dual_stack) {
                (true, _) => Err(EndpointError::CustomFips),
                (_, true) => Err(EndpointError::CustomDualStack),
                (false, false) => Ok(custom.clone()),
            };
        }
        let region = self.region.as_deref().ok_or(EndpointError::NoRegion)?;
        // It becomes part of a host name: with a slash or a dot, signed requests would go to another host.
        if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(EndpointError::Region(region.to_owned()));
        }
        let outside = PARTITIONS.iter().find(|(start, ..)| region.starts_with(start));
        let (one, dual) = outside.map_or(("amazonaws.com", "api.aws"), |(_, one, dual)| (one, dual));
        let (fips, suffix) = match self.service.rules {
            Rules::PlainInGovCloud => {
                let plain = region.starts_with("us-gov-") && !self.dual_stack;
                (self.fips && !plain, if self.dual_stack { dual } else { one })
            }
            Rules::AlwaysDualStack => {
                let named = self.dual_stack && self.fips && outside.is_some();
                (self.fips, if named { dual } else { one })
            }
        };
        let host = self.service.host;
        let fips = if fips { "-fips" } else { "" };
        Ok(format!("https://{host}{fips}.{region}.{suffix}"))
    }
}

impl ResolveEndpoint for Settings {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        let url = self.url().map_err(|error| {
            ResolveEndpointError::from_source(format!("{} has no endpoint", self.service.id), error).into()
        });
        EndpointFuture::ready(url.map(|url| Endpoint::builder().url(url).build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC2: Service = Service { id: "EC2", host: "ec2", rules: Rules::PlainInGovCloud };
    const SECRETS: Service =
        Service { id: "Secrets Manager", host: "secretsmanager", rules: Rules::AlwaysDualStack };
    const NOWHERE: Settings =
        Settings { service: EC2, custom: None, region: None, fips: false, dual_stack: false };

    fn in_region(service: Service, region: &str, fips: bool, dual_stack: bool) -> String {
        let region = Some(region.to_owned());
        let settings = Settings { service, region, fips, dual_stack, ..NOWHERE };
        settings.url().unwrap_or_else(|error| error.to_string())
    }

    /// Expected: what botocore 1.43 resolves for the same settings.
    #[test]
    fn every_partition_has_its_own_host_names() {
        let expected = "
            eu-west-1 ec2.eu-west-1.amazonaws.com ec2-fips.eu-west-1.amazonaws.com ec2.eu-west-1.api.aws ec2-fips.eu-west-1.api.aws
            us-gov-west-1 ec2.us-gov-west-1.amazonaws.com ec2.us-gov-west-1.amazonaws.com ec2.us-gov-west-1.api.aws ec2-fips.us-gov-west-1.api.aws
            cn-north-1 ec2.cn-north-1.amazonaws.com.cn ec2-fips.cn-north-1.amazonaws.com.cn ec2.cn-north-1.api.amazonwebservices.com.cn ec2-fips.cn-north-1.api.amazonwebservices.com.cn
            eusc-de-east-1 ec2.eusc-de-east-1.amazonaws.eu ec2-fips.eusc-de-east-1.amazonaws.eu ec2.eusc-de-east-1.api.amazonwebservices.eu ec2-fips.eusc-de-east-1.api.amazonwebservices.eu
            us-iso-east-1 ec2.us-iso-east-1.c2s.ic.gov ec2-fips.us-iso-east-1.c2s.ic.gov ec2.us-iso-east-1.api.aws.ic.gov ec2-fips.us-iso-east-1.api.aws.ic.gov
            us-isob-east-1 ec2.us-isob-east-1.sc2s.sgov.gov ec2-fips.us-isob-east-1.sc2s.sgov.gov ec2.us-isob-east-1.api.aws.scloud ec2-fips.us-isob-east-1.api.aws.scloud
            eu-isoe-west-1 ec2.eu-isoe-west-1.cloud.adc-e.uk ec2-fips.eu-isoe-west-1.cloud.adc-e.uk ec2.eu-isoe-west-1.api.cloud-aws.adc-e.uk ec2-fips.eu-isoe-west-1.api.cloud-aws.adc-e.uk
            us-isof-south-1 ec2.us-isof-south-1.csp.hci.ic.gov ec2-fips.us-isof-south-1.csp.hci.ic.gov ec2.us-isof-south-1.api.aws.hci.ic.gov ec2-fips.us-isof-south-1.api.aws.hci.ic.gov
            mx-central-1 ec2.mx-central-1.amazonaws.com ec2-fips.mx-central-1.amazonaws.com ec2.mx-central-1.api.aws ec2-fips.mx-central-1.api.aws
        ";
        for line in expected.trim().lines() {
            let [region, plain, fips, dual_stack, both] = line.split_whitespace().collect::<Vec<_>>()[..]
            else {
                panic!("not a row: {line}")
            };
            assert_eq!(in_region(EC2, region, false, false), format!("https://{plain}"));
            assert_eq!(in_region(EC2, region, true, false), format!("https://{fips}"));
            assert_eq!(in_region(EC2, region, false, true), format!("https://{dual_stack}"));
            assert_eq!(in_region(EC2, region, true, true), format!("https://{both}"));
        }
    }

    /// Expected: what botocore 1.43 resolves.
    #[test]
    fn secrets_manager_has_hosts_of_its_own_for_fips_and_none_for_dual_stack() {
        for (region, plain, fips, both) in [
            ("eu-west-1", "eu-west-1.amazonaws.com", "eu-west-1.amazonaws.com", "eu-west-1.amazonaws.com"),
            (
                "us-gov-west-1",
                "us-gov-west-1.amazonaws.com",
                "us-gov-west-1.amazonaws.com",
                "us-gov-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                "cn-north-1.amazonaws.com.cn",
                "cn-north-1.amazonaws.com.cn",
                "cn-north-1.api.amazonwebservices.com.cn",
            ),
            (
                "us-isob-east-1",
                "us-isob-east-1.sc2s.sgov.gov",
                "us-isob-east-1.sc2s.sgov.gov",
                "us-isob-east-1.api.aws.scloud",
            ),
        ] {
            assert_eq!(in_region(SECRETS, region, false, false), format!("https://secretsmanager.{plain}"));
            assert_eq!(in_region(SECRETS, region, false, true), format!("https://secretsmanager.{plain}"));
            assert_eq!(
                in_region(SECRETS, region, true, false),
                format!("https://secretsmanager-fips.{fips}")
            );
            assert_eq!(in_region(SECRETS, region, true, true), format!("https://secretsmanager-fips.{both}"));
        }
    }

    #[test]
    fn a_custom_endpoint_needs_no_region_and_goes_with_neither_fips_nor_dual_stack() {
        let custom = Settings { custom: Some("http://127.0.0.1:9".to_owned()), ..NOWHERE };
        assert_eq!(custom.url().as_deref(), Ok("http://127.0.0.1:9"));
        assert_eq!(Settings { fips: true, ..custom.clone() }.url(), Err(EndpointError::CustomFips));
        assert_eq!(Settings { dual_stack: true, ..custom }.url(), Err(EndpointError::CustomDualStack));
    }

    #[test]
    fn a_region_that_would_change_the_host_is_refused() {
        for region in ["", "eu-west-1.evil.example/", "a@b", "eu west", "eu-west-1#"] {
            assert_eq!(
                in_region(EC2, region, false, false),
                format!("`{region}` is not the name of a region")
            );
        }
    }

    #[test]
    fn without_a_region_or_an_endpoint_the_error_says_what_to_set() {
        let error = NOWHERE.url().unwrap_err().to_string();
        assert_eq!(error, "no AWS region is set (AWS_REGION, or the profile's `region`)");
    }
}
