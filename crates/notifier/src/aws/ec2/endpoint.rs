//! Where EC2 is: the SDK's order of settings, and EC2's own rules for its host names.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::endpoint::error::ResolveEndpointError;
use aws_smithy_runtime_api::client::endpoint::{EndpointFuture, EndpointResolverParams, ResolveEndpoint};
use aws_smithy_types::endpoint::Endpoint;
use aws_types::service_config::ServiceConfigKey;

/// The partitions outside `amazonaws.com`: how their regions begin, the DNS suffix of their services, and the suffix of
/// their dual-stack services. Source: botocore's `partitions.json`.
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

/// What decides where EC2 is.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// An endpoint of the user's own.
    custom: Option<String>,
    region: Option<String>,
    fips: bool,
    dual_stack: bool,
}

/// Why there is no endpoint. The words of the SDKs' own rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    #[error("no region is set (AWS_REGION, or the profile's `region`)")]
    NoRegion,
    #[error("`{0}` is not the name of a region")]
    Region(String),
    #[error("FIPS and a custom endpoint cannot be combined")]
    CustomFips,
    #[error("dual stack and a custom endpoint cannot be combined")]
    CustomDualStack,
}

impl Settings {
    /// The settings that `config` found, `AWS_ENDPOINT_URL_EC2` and the profile's services section before what holds for
    /// all services, as the SDK's generated clients do it.
    pub(super) fn of(config: &SdkConfig) -> Self {
        let own = || {
            let key =
                ServiceConfigKey::builder().service_id("EC2").env("AWS_ENDPOINT_URL").profile("endpoint_url");
            config.service_config()?.load_config(key.build().ok()?)
        };
        let from_code = config.get_origin("endpoint_url").is_client_config();
        let custom = if from_code { None } else { own() };
        Self {
            custom: custom.or_else(|| config.endpoint_url().map(str::to_owned)),
            region: config.region().map(ToString::to_string),
            fips: config.use_fips().unwrap_or_default(),
            dual_stack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    /// Source: botocore's endpoint rule set for EC2, 2016-11-15.
    fn url(&self) -> Result<String, EndpointError> {
        if let Some(custom) = &self.custom {
            return match (self.fips, self.dual_stack) {
                (true, _) => Err(EndpointError::CustomFips),
                (_, true) => Err(EndpointError::CustomDualStack),
                (false, false) => Ok(custom.clone()),
            };
        }
        let region = self.region.as_deref().ok_or(EndpointError::NoRegion)?;
        // It becomes part of a host name: one with a slash or a dot would send signed requests elsewhere.
        if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(EndpointError::Region(region.to_owned()));
        }
        let outside = PARTITIONS.iter().find(|(start, ..)| region.starts_with(start));
        let (suffix, dual_stack) = outside.map_or(("amazonaws.com", "api.aws"), |(_, one, dual)| (one, dual));
        // In GovCloud the plain host is the FIPS one, except for dual stack.
        let plain = !self.fips || (region.starts_with("us-gov-") && !self.dual_stack);
        let host = if plain { "ec2" } else { "ec2-fips" };
        let suffix = if self.dual_stack { dual_stack } else { suffix };
        Ok(format!("https://{host}.{region}.{suffix}"))
    }
}

impl ResolveEndpoint for Settings {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        let url = self
            .url()
            .map_err(|error| ResolveEndpointError::from_source("EC2 has no endpoint", error).into());
        EndpointFuture::ready(url.map(|url| Endpoint::builder().url(url).build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_region(region: &str, fips: bool, dual_stack: bool) -> String {
        let settings = Settings { custom: None, region: Some(region.to_owned()), fips, dual_stack };
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
            assert_eq!(in_region(region, false, false), format!("https://{plain}"));
            assert_eq!(in_region(region, true, false), format!("https://{fips}"));
            assert_eq!(in_region(region, false, true), format!("https://{dual_stack}"));
            assert_eq!(in_region(region, true, true), format!("https://{both}"));
        }
    }

    #[test]
    fn a_custom_endpoint_needs_no_region_and_goes_with_neither_fips_nor_dual_stack() {
        let custom = Settings { custom: Some("http://127.0.0.1:9".to_owned()), ..Settings::default() };
        assert_eq!(custom.url().as_deref(), Ok("http://127.0.0.1:9"));
        assert_eq!(Settings { fips: true, ..custom.clone() }.url(), Err(EndpointError::CustomFips));
        assert_eq!(Settings { dual_stack: true, ..custom }.url(), Err(EndpointError::CustomDualStack));
    }

    #[test]
    fn a_region_that_would_change_the_host_is_refused() {
        for region in ["", "eu-west-1.evil.example/", "a@b", "eu west", "eu-west-1#"] {
            assert_eq!(in_region(region, false, false), format!("`{region}` is not the name of a region"));
        }
    }

    #[test]
    fn without_a_region_or_an_endpoint_the_error_says_what_to_set() {
        let error = Settings::default().url().unwrap_err().to_string();
        assert_eq!(error, "no region is set (AWS_REGION, or the profile's `region`)");
    }
}
