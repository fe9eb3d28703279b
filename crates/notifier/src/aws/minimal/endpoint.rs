//! Resolves the endpoint of a service without a generated client: the SDK's order of settings, and AWS's rules for host
//! names.

use aws_config::SdkConfig;
use aws_smithy_http::endpoint::ResolveEndpointError;
use aws_smithy_runtime_api::client::endpoint::{EndpointFuture, EndpointResolverParams, ResolveEndpoint};
use aws_smithy_types::endpoint::Endpoint;

use crate::aws::load::endpoint_key;
use crate::base::text::is_word;

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
    /// In `GovCloud` the plain hosts are the FIPS ones.
    AlwaysPlainInGovCloud,
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

impl Settings {
    /// The settings of `config`. As in the SDK's generated clients, endpoints of one service take precedence over those of
    /// all services.
    pub(super) fn of(service: Service, config: &SdkConfig) -> Self {
        let own = || config.service_config()?.load_config(endpoint_key(service.id)?);
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

    /// The endpoint, or why there is none. Source: botocore's endpoint rule sets.
    fn url(&self) -> Result<String, String> {
        if let Some(custom) = &self.custom {
            return match (self.fips, self.dual_stack) {
                (true, _) => Err("FIPS and a custom endpoint cannot be combined".to_owned()),
                (_, true) => Err("dual stack and a custom endpoint cannot be combined".to_owned()),
                (false, false) => Ok(custom.clone()),
            };
        }
        let region = self.region.as_deref();
        let region = region.ok_or("no AWS region is set (AWS_REGION, or the profile's `region`)")?;
        // It becomes part of a host name: one with a slash or a dot would send signed requests elsewhere.
        if !is_word(region) {
            return Err(format!("`{region}` is not the name of a region"));
        }
        let outside = PARTITIONS.iter().find(|(start, ..)| region.starts_with(start));
        let (one, dual) = outside.map_or(("amazonaws.com", "api.aws"), |(_, one, dual)| (one, dual));
        let (fips, suffix) = match self.service.rules {
            Rules::PlainInGovCloud => {
                let plain = region.starts_with("us-gov-") && !self.dual_stack;
                (self.fips && !plain, if self.dual_stack { dual } else { one })
            }
            Rules::AlwaysPlainInGovCloud => {
                (self.fips && !region.starts_with("us-gov-"), if self.dual_stack { dual } else { one })
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
    const CLOUDWATCH: Service =
        Service { id: "CloudWatch", host: "monitoring", rules: Rules::AlwaysPlainInGovCloud };
    const NOWHERE: Settings =
        Settings { service: EC2, custom: None, region: None, fips: false, dual_stack: false };

    fn in_region(service: Service, region: &str, fips: bool, dual_stack: bool) -> String {
        let region = Some(region.to_owned());
        let settings = Settings { service, region, fips, dual_stack, ..NOWHERE };
        settings.url().unwrap_or_else(|error| error)
    }

    /// Each row: a region, and the host without settings, for FIPS, for dual stack, and for both. `*` is the region. Expected:
    /// what botocore 1.43 resolves.
    fn check(service: Service, expected: &str) {
        for row in expected.trim().lines() {
            let [region, hosts @ ..] = &row.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("no row")
            };
            let found = [(false, false), (true, false), (false, true), (true, true)]
                .map(|(fips, dual_stack)| in_region(service, region, fips, dual_stack));
            let expected: Vec<_> =
                hosts.iter().map(|host| format!("https://{}", host.replace('*', region))).collect();
            assert_eq!(found.as_slice(), expected, "{row}");
        }
    }

    #[test]
    fn every_partition_has_its_own_host_names() {
        check(
            EC2,
            "
            eu-west-1 ec2.*.amazonaws.com ec2-fips.*.amazonaws.com ec2.*.api.aws ec2-fips.*.api.aws
            us-gov-west-1 ec2.*.amazonaws.com ec2.*.amazonaws.com ec2.*.api.aws ec2-fips.*.api.aws
            cn-north-1 ec2.*.amazonaws.com.cn ec2-fips.*.amazonaws.com.cn ec2.*.api.amazonwebservices.com.cn ec2-fips.*.api.amazonwebservices.com.cn
            eusc-de-east-1 ec2.*.amazonaws.eu ec2-fips.*.amazonaws.eu ec2.*.api.amazonwebservices.eu ec2-fips.*.api.amazonwebservices.eu
            us-iso-east-1 ec2.*.c2s.ic.gov ec2-fips.*.c2s.ic.gov ec2.*.api.aws.ic.gov ec2-fips.*.api.aws.ic.gov
            us-isob-east-1 ec2.*.sc2s.sgov.gov ec2-fips.*.sc2s.sgov.gov ec2.*.api.aws.scloud ec2-fips.*.api.aws.scloud
            eu-isoe-west-1 ec2.*.cloud.adc-e.uk ec2-fips.*.cloud.adc-e.uk ec2.*.api.cloud-aws.adc-e.uk ec2-fips.*.api.cloud-aws.adc-e.uk
            us-isof-south-1 ec2.*.csp.hci.ic.gov ec2-fips.*.csp.hci.ic.gov ec2.*.api.aws.hci.ic.gov ec2-fips.*.api.aws.hci.ic.gov
            mx-central-1 ec2.*.amazonaws.com ec2-fips.*.amazonaws.com ec2.*.api.aws ec2-fips.*.api.aws
            ",
        );
    }

    #[test]
    fn secrets_manager_has_hosts_of_its_own_for_fips_and_none_for_dual_stack() {
        check(
            SECRETS,
            "
            eu-west-1 secretsmanager.*.amazonaws.com secretsmanager-fips.*.amazonaws.com secretsmanager.*.amazonaws.com secretsmanager-fips.*.amazonaws.com
            us-gov-west-1 secretsmanager.*.amazonaws.com secretsmanager-fips.*.amazonaws.com secretsmanager.*.amazonaws.com secretsmanager-fips.*.amazonaws.com
            cn-north-1 secretsmanager.*.amazonaws.com.cn secretsmanager-fips.*.amazonaws.com.cn secretsmanager.*.amazonaws.com.cn secretsmanager-fips.*.api.amazonwebservices.com.cn
            us-isob-east-1 secretsmanager.*.sc2s.sgov.gov secretsmanager-fips.*.sc2s.sgov.gov secretsmanager.*.sc2s.sgov.gov secretsmanager-fips.*.api.aws.scloud
            ",
        );
    }

    #[test]
    fn cloudwatch_has_no_hosts_of_its_own_for_fips_in_govcloud() {
        check(
            CLOUDWATCH,
            "
            eu-west-1 monitoring.*.amazonaws.com monitoring-fips.*.amazonaws.com monitoring.*.api.aws monitoring-fips.*.api.aws
            us-gov-west-1 monitoring.*.amazonaws.com monitoring.*.amazonaws.com monitoring.*.api.aws monitoring.*.api.aws
            cn-north-1 monitoring.*.amazonaws.com.cn monitoring-fips.*.amazonaws.com.cn monitoring.*.api.amazonwebservices.com.cn monitoring-fips.*.api.amazonwebservices.com.cn
            eusc-de-east-1 monitoring.*.amazonaws.eu monitoring-fips.*.amazonaws.eu monitoring.*.api.amazonwebservices.eu monitoring-fips.*.api.amazonwebservices.eu
            us-iso-east-1 monitoring.*.c2s.ic.gov monitoring-fips.*.c2s.ic.gov monitoring.*.api.aws.ic.gov monitoring-fips.*.api.aws.ic.gov
            ",
        );
    }

    #[test]
    fn a_custom_endpoint_needs_no_region_and_goes_with_neither_fips_nor_dual_stack() {
        let custom = Settings { custom: Some("http://127.0.0.1:9".to_owned()), ..NOWHERE };
        assert_eq!(custom.url().as_deref(), Ok("http://127.0.0.1:9"));
        for (settings, what) in [
            (Settings { fips: true, ..custom.clone() }, "FIPS"),
            (Settings { dual_stack: true, ..custom }, "dual stack"),
        ] {
            assert_eq!(settings.url(), Err(format!("{what} and a custom endpoint cannot be combined")));
        }
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
}
