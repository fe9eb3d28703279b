//! Parses the values of settings by their kind. Errors are collected.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Settings;
use super::error::{Origin, SettingError, SettingErrors};
use super::layers::Layers;
use super::table::{Kind, Setting};
use crate::aws::budget::{PERCENT_MAX, PERCENT_MIN};
use crate::base::text::quoted;
use crate::base::url::{Url, UrlError};
use crate::deliver::Signing;
use crate::ledger::Location;
use crate::model::network::{Networks, NetworksError};
use crate::pipeline::Senders;
use crate::secrets::{REFERENCES_MAX, SecretRef};

/// The most services with separate secrets.
const SERVICES_MAX: usize = 1_000;

/// Prefix of the endpoint variables of AWS.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// Why a text is not a value of its setting.
enum Invalid {
    /// It does not have the form of such a value.
    Form,
    /// It has the form, but cannot be used for this reason.
    Unusable(String),
}

/// Reads settings one by one and collects the errors.
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers<'a>,
    pub(super) errors: Vec<SettingError>,
}

impl Reader<'_> {
    /// Adds an error if a setting has no value.
    pub(super) fn need(&mut self, setting: &'static Setting) {
        if self.layers.all(setting).is_empty() {
            self.errors.push(SettingError::Missing(setting));
        }
    }

    /// The strongest value; `None` if there is none or it is wrong. Weaker values are checked too, because they count as
    /// soon as the stronger one is removed.
    fn read<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let mut values = self.layers.all(setting).into_iter().map(|(text, origin)| {
            parse(text.trim()).map_err(|invalid| match invalid {
                Invalid::Form => {
                    SettingError::Value { origin, value: quoted(text), expected: setting.kind.to_string() }
                }
                Invalid::Unusable(problem) => SettingError::Unusable { origin, problem },
            })
        });
        let strongest = values.next()?;
        let weaker: Vec<_> = values.filter_map(Result::err).collect();
        let (value, mistake) = match strongest {
            Ok(value) => (Some(value), None),
            Err(mistake) => (None, Some(mistake)),
        };
        self.errors.extend(mistake.into_iter().chain(weaker));
        value
    }

    /// Adds an error if two settings have the same queue: each stage would reject the other's messages.
    pub(super) fn distinct(&mut self, settings: [&'static Setting; 3], urls: [Option<&str>; 3]) {
        let place = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
        let mut seen: Vec<(&'static Setting, String)> = Vec::new();
        for (setting, url) in settings.into_iter().zip(urls) {
            let Some(url) = url.map(place) else { continue };
            if let Some((other, _)) = seen.iter().find(|(_, known)| *known == url) {
                let problem = format!(
                    "this is also the queue of {}; each stage needs a separate queue",
                    other.variable()
                );
                let origin = self.layers.all(setting).into_iter().next().map(|(_, origin)| origin);
                self.errors.extend(origin.map(|origin| SettingError::Unusable { origin, problem }));
            } else {
                seen.push((setting, url));
            }
        }
    }

    /// Checks the endpoint variables of AWS. The SDK reads them itself; here each error has the name of its variable.
    pub(super) fn endpoints(&mut self) {
        for (name, value) in self.layers.environment.beginning_with(ENDPOINT_VARIABLE) {
            if let Err(error) = Url::parse(value.trim()) {
                let origin = Origin::Variable(name.to_owned());
                self.errors.push(SettingError::Unusable { origin, problem: error.to_string() });
            }
        }
    }

    pub(super) fn queue_url(&mut self, setting: &'static Setting) -> Option<String> {
        self.read(setting, |text| {
            let url = match Url::parse(text) {
                Ok(url) => url,
                Err(error @ UrlError::Port(_)) => return Err(unusable(error)),
                Err(UrlError::UserInfo) => {
                    return Err(Invalid::Unusable(
                        "a queue URL must not have a user name or password".to_owned(),
                    ));
                }
                Err(_) if text.starts_with("arn:") => {
                    return Err(Invalid::Unusable(format!(
                        "`{}` is an ARN; the URL of a queue looks like \
                         https://sqs.eu-west-1.amazonaws.com/111122223333/NAME",
                        quoted(text)
                    )));
                }
                Err(_) => return Err(Invalid::Form),
            };
            if url.queue().is_some() { Ok(text.to_owned()) } else { Err(Invalid::Form) }
        })
    }

    pub(super) fn principals(&mut self, setting: &'static Setting) -> Senders {
        let senders = self.read(setting, |text| {
            let ids: Vec<&str> = text.split(',').map(str::trim).collect();
            match ids.iter().find(|id| !is_principal(id)) {
                None => Ok(Senders::new(ids)),
                Some(id) if id.starts_with("arn:") => Err(Invalid::Unusable(format!(
                    "{} is an ARN; SQS reports senders by unique id: `aws iam get-role --role-name NAME --query Role.RoleId` shows it",
                    quoted(id)
                ))),
                Some(_) => Err(Invalid::Form),
            }
        });
        senders.unwrap_or_default()
    }

    pub(super) fn ledger(&mut self, setting: &'static Setting) -> Location {
        let place = self.read(setting, |text| match text.split_once(':') {
            None if text == "none" => Ok(Location::None),
            Some(("dynamodb", table)) if !table.is_empty() => Ok(Location::DynamoDb(table.to_owned())),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Location::Sqlite(path.into())),
            _ => Err(Invalid::Form),
        });
        place.unwrap_or_default()
    }

    pub(super) fn word<T>(
        &mut self,
        setting: &'static Setting,
        meaning: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(setting, |text| match setting.kind {
            Kind::Word(words) if words.contains(&text) => meaning(text).ok_or(Invalid::Form),
            _ => Err(Invalid::Form),
        })
    }

    pub(super) fn number(&mut self, setting: &'static Setting) -> u32 {
        let number = self.read(setting, |text| match (setting.kind, text.parse::<u32>()) {
            // `parse` would accept `+5`.
            (Kind::Number { least, most }, Ok(number))
                if (least..=most).contains(&number) && !text.starts_with('+') =>
            {
                Ok(number)
            }
            _ => Err(Invalid::Form),
        });
        number.unwrap_or_default()
    }

    /// Digits, with decimals after a point: no sign and no exponent, which `parse` would accept.
    pub(super) fn percent(&mut self, setting: &'static Setting) -> f64 {
        let percent = self.read(setting, |text| match text.parse::<f64>() {
            Ok(percent)
                if (PERCENT_MIN..=PERCENT_MAX).contains(&percent)
                    && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') =>
            {
                Ok(percent)
            }
            _ => Err(Invalid::Form),
        });
        percent.unwrap_or_default()
    }

    pub(super) fn millis(&mut self, setting: &'static Setting) -> Duration {
        Duration::from_millis(self.number(setting).into())
    }

    pub(super) fn networks(&mut self, setting: &'static Setting) -> Networks {
        let networks = self.read(setting, |text| {
            text.parse().map_err(|error: NetworksError| Invalid::Unusable(error.to_string()))
        });
        networks.unwrap_or_default()
    }

    pub(super) fn listen(&mut self, setting: &'static Setting) -> Option<SocketAddr> {
        self.read(setting, |text| match text {
            "none" => Ok(None),
            _ => text.parse().map(Some).map_err(|_| Invalid::Form),
        })
        .flatten()
    }

    /// Errors do not repeat the value: it may be the secret itself.
    pub(super) fn secret(&mut self, setting: &'static Setting) -> Option<SecretRef> {
        self.read(setting, |text| text.parse().map_err(unusable))
    }

    pub(super) fn signing(&mut self, setting: &'static Setting) -> Signing {
        let signing = self.read(setting, |text| match text {
            "none" => Ok(Signing::Off),
            _ => SecretRef::list(text).map(Signing::By).map_err(unusable),
        });
        signing.unwrap_or_default()
    }

    pub(super) fn secrets_of_services(
        &mut self,
        setting: &'static Setting,
    ) -> BTreeMap<String, Vec<SecretRef>> {
        let secrets = self.read(setting, |text| {
            let mut all = BTreeMap::<String, Vec<SecretRef>>::new();
            for (number, pair) in (1..).zip(text.split(',')) {
                let invalid = |problem: &str| Invalid::Unusable(format!("pair {number}: {problem}"));
                let (service, reference) =
                    pair.trim().split_once('=').ok_or_else(|| invalid("there is no `=` after a service"))?;
                let is_word = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
                // Source: ECS API reference, `CreateService`.
                if !(1..=255).contains(&service.len()) || !service.bytes().all(is_word) {
                    return Err(invalid("it does not begin with the name of a service"));
                }
                let reference = reference
                    .parse()
                    .map_err(|error: crate::secrets::RefError| invalid(&error.to_string()))?;
                let references = all.entry(service.to_owned()).or_default();
                references.push(reference);
                if references.len() > REFERENCES_MAX {
                    return Err(invalid("the service has too many"));
                }
                if all.len() > SERVICES_MAX {
                    return Err(invalid("there are too many services"));
                }
            }
            Ok(all)
        });
        secrets.unwrap_or_default()
    }

    /// The settings, or all errors.
    pub(super) fn finish(self, settings: Settings) -> Result<Settings, SettingErrors> {
        if self.errors.is_empty() { Ok(settings) } else { Err(SettingErrors(self.errors)) }
    }
}

/// Whether this can be a unique id of IAM, optionally with the name of a session after a colon.
///
/// Source: IAM User Guide, "IAM identifiers"; STS API reference, `RoleSessionName`.
fn is_principal(id: &str) -> bool {
    let (unique, session) = id.split_once(':').unwrap_or((id, "any"));
    (12..=128).contains(&unique.len())
        && unique.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && (1..=64).contains(&session.len())
        && session.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=.@-".contains(&b))
}

fn unusable(error: impl std::fmt::Display) -> Invalid {
    Invalid::Unusable(error.to_string())
}
