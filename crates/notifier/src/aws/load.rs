//! Checks the profile, every endpoint and the region before clients are created.
//!
//! The SDK is too lenient, so that a wrong setting may reach another account: it prefers credentials of the environment to
//! a named profile, treats a missing profile as empty, and calls the real AWS if `AWS_ENDPOINT_URL` is not a URL. Here
//! each of these is an error.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::error::EnvConfigFileLoadError;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::base::text::{is_word, printable, quoted};
use crate::base::url::{Url, UrlError};
use crate::model::arn::{Arn, is_account};

/// The variable for all endpoints, and the prefix of those for single services.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";
/// The key of endpoints in a profile.
const ENDPOINT_KEY: &str = "endpoint_url";
/// The services that are called, by their names in the SDKs.
const SERVICES: [&str; 8] = ["ECS", "SQS", "DynamoDB", "EC2", "Secrets Manager", "SSM", "STS", "CloudWatch"];
/// Profiles listed in an error.
const PROFILES_SHOWN_MAX: usize = 30;
/// The default profile.
const DEFAULT: &str = "default";
/// The longest chain of `source_profile`.
const SOURCES_MAX: usize = 20;

/// Why the clients cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what happened")]
pub enum LoadError {
    #[error("{origin}: there is no AWS profile `{name}`; {}", there_are(.known))]
    Profile {
        /// Where it was set: a flag, a variable or another profile.
        origin: String,
        name: String,
        known: Vec<String>,
    },
    #[error("{origin}: the AWS configuration files cannot be read")]
    Files { origin: String, source: EnvConfigFileLoadError },
    #[error("{origin}: {source}")]
    Endpoint { origin: String, source: UrlError },
    #[error("no AWS region is set")]
    NoRegion,
    /// The region would change the host that is called.
    #[error("`{0}` is not the name of an AWS region")]
    Region(String),
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() {
        return "the AWS configuration files have none".to_owned();
    }
    let shown: Vec<_> =
        known.iter().take(PROFILES_SHOWN_MAX).map(|name| format!("`{}`", quoted(name))).collect();
    let more = known.len().saturating_sub(PROFILES_SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("there are {}{more}", shown.join(", "))
}

/// The profiles of the AWS configuration files, with the selected one.
pub(super) struct Profiles(Option<ProfileSet>);

impl Profiles {
    /// Reads the files. A profile that is set by a flag or by `AWS_PROFILE` must exist, and so must its source profiles. An
    /// empty `AWS_PROFILE` counts as not set.
    pub(super) async fn load(flag: Option<&str>) -> Result<Self, LoadError> {
        let env = Env::real();
        let variable = env.get("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let (origin, name) = match (flag, variable) {
            (Some(flag), _) => ("--profile", Some(flag.to_owned())),
            (None, variable) => ("AWS_PROFILE", variable),
        };
        let selected = Some(Cow::Owned(name.clone().unwrap_or_else(|| DEFAULT.to_owned())));
        let sections = profile::load(&Fs::real(), &env, &EnvConfigFiles::default(), selected).await;
        let Some(name) = name else { return Ok(Self(sections.ok())) };
        let sections = sections.map_err(|source| LoadError::Files { origin: origin.to_owned(), source })?;
        exists(&sections, origin, &name)?;
        Ok(Self(Some(sections)))
    }

    /// The profile for the SDK, which takes precedence over the environment.
    pub(super) fn selected(&self) -> &str {
        self.0.as_ref().map_or(DEFAULT, ProfileSet::selected_profile)
    }
}

/// Checks a profile and its source profiles.
fn exists(sections: &ProfileSet, origin: &str, name: &str) -> Result<(), LoadError> {
    let (mut origin, mut name) = (origin.to_owned(), name.to_owned());
    for _ in 0..SOURCES_MAX {
        let Some(profile) = sections.get_profile(&name) else {
            let mut known: Vec<_> = sections.profiles().map(str::to_owned).collect();
            known.sort();
            return Err(LoadError::Profile { origin, name: quoted(&name), known });
        };
        match profile.get("source_profile") {
            // A profile that is its own source has its own keys.
            Some(source) if source != name => {
                origin = format!("source_profile of the AWS profile `{}`", quoted(&name));
                name = source.to_owned();
            }
            _ => break,
        }
    }
    // The SDK reports a circular chain.
    Ok(())
}

/// The credentials of a profile that was set by a flag. They take precedence over the environment, as in the AWS CLI;
/// without credentials in the profile, those of the container or the instance are used.
pub(super) fn credentials(name: &str, config: &ProviderConfig) -> CredentialsProviderChain {
    let profile = ProfileFileCredentialsProvider::builder().configure(config).profile_name(name).build();
    let container = EcsCredentialsProvider::builder().configure(config).build();
    let instance = ImdsCredentialsProvider::builder().configure(config).profile(name).build();
    CredentialsProviderChain::first_try("Profile", profile)
        .or_else("EcsContainer", container)
        .or_else("Ec2InstanceMetadata", instance)
}

/// The endpoints of the environment and the profile, each a valid URL.
#[derive(Debug, Default)]
pub(super) struct Endpoints(BTreeMap<String, String>);

impl Endpoints {
    /// Reads the endpoint of each service as the SDK does, and ignores empty values.
    pub(super) fn of(config: &SdkConfig, profiles: &Profiles) -> Result<Self, LoadError> {
        let env = Env::real();
        let mut all = BTreeMap::new();
        for id in SERVICES {
            // Also `None` if the user disabled configured endpoints.
            if config.service_config().and_then(|of| of.load_config(endpoint_key(id)?)).is_none() {
                continue;
            }
            let own = format!("{ENDPOINT_VARIABLE}_{}", id.to_uppercase().replace(' ', "_"));
            let variable = [own, ENDPOINT_VARIABLE.to_owned()].into_iter().find_map(|name| {
                let value = env.get(&name).ok().filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            });
            let found = variable.or_else(|| {
                let value = EnvConfigValue::new().profile(ENDPOINT_KEY).service_id(id);
                let (value, _) = value.load(&env, profiles.0.as_ref())?;
                let value = Some(value.into_owned()).filter(|value| !value.trim().is_empty())?;
                Some((format!("{ENDPOINT_KEY} of the AWS profile `{}`", quoted(profiles.selected())), value))
            });
            if let Some((origin, url)) = found {
                checked(&origin, &url)?;
                all.insert(id.to_owned(), url);
            }
        }
        Ok(Self(all))
    }
}

/// An endpoint of a flag or of the environment.
pub(super) fn checked(origin: &str, url: &str) -> Result<(), LoadError> {
    let invalid = |source| LoadError::Endpoint { origin: origin.to_owned(), source };
    Url::parse(url).map(drop).map_err(invalid)
}

/// The key under which a configuration has the endpoint of a service.
pub(super) fn endpoint_key(service_id: &'static str) -> Option<ServiceConfigKey<'static>> {
    let key = ServiceConfigKey::builder().service_id(service_id);
    key.env(ENDPOINT_VARIABLE).profile(ENDPOINT_KEY).build().ok()
}

/// Replaces the environment for the SDK's clients, which would use empty values as URLs.
impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let is_endpoint = key.env() == ENDPOINT_VARIABLE;
        self.0.get(key.service_id()).filter(|_| is_endpoint).cloned()
    }
}

/// The region, if it can be part of a host name.
pub(super) fn region(region: Option<&str>) -> Result<&str, LoadError> {
    let region = region.filter(|region| !region.is_empty()).ok_or(LoadError::NoRegion)?;
    if is_word(region) { Ok(region) } else { Err(LoadError::Region(printable(region, 80))) }
}

/// The region in an ARN or in the URL of a queue.
pub fn region_of(text: &str) -> Option<&str> {
    if let Some(arn) = Arn::parse(text) {
        return arn.region();
    }
    // Source: "Amazon SQS endpoints and quotas", the new form of host names and the old one.
    let host = text.split_once("://")?.1.split(['/', ':']).next()?;
    let (first, rest) = host.split_once('.')?;
    let (second, rest) = rest.split_once('.')?;
    let (("sqs" | "sqs-fips", region) | (region, "queue")) = (first, second) else { return None };
    rest.starts_with("amazonaws.").then_some(region)
}

/// The account in an ARN or in the URL of a queue: twelve digits.
pub fn account_of(text: &str) -> Option<&str> {
    match text.split_once("://") {
        // Emulators have another host but the same path.
        Some((_, url)) => url.split('/').nth(1).filter(|account| is_account(account)),
        None => Arn::parse(text)?.account(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_and_a_queue_url_name_their_account_and_their_region() {
        let one = Some("111122223333");
        for (text, account, region) in [
            ("arn:aws:ecs:eu-west-1:111122223333:cluster/prod", one, Some("eu-west-1")),
            ("arn:aws:iam::111122223333:role/a", one, None),
            ("arn:aws:s3:::bucket", None, None),
            ("prod", None, None),
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/q", one, Some("eu-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q", one, Some("cn-north-1")),
            ("https://eu-west-1.queue.amazonaws.com/111122223333/q", one, Some("eu-west-1")),
            ("http://127.0.0.1:4566/000000000000/q", Some("000000000000"), None),
            ("http://sqs.us-east-1.localhost.localstack.cloud:4566/111122223333/q", one, None),
            ("http://127.0.0.1:4566/queue/q", None, None),
            ("http://127.0.0.1:4566", None, None),
        ] {
            assert_eq!((account_of(text), region_of(text)), (account, region), "{text}");
        }
    }

    #[test]
    fn a_region_is_part_of_a_host_name() {
        assert!(matches!(region(None), Err(LoadError::NoRegion)));
        assert!(matches!(region(Some("")), Err(LoadError::NoRegion)));
        assert!(matches!(region(Some("eu-west-1.evil.example/")), Err(LoadError::Region(_))));
        assert_eq!(region(Some("eu-west-1")).unwrap(), "eu-west-1");
    }
}
