//! Parses the values of settings by their kind. Errors are collected, and never repeat a secret.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::QueueUrls;
use super::error::SettingError;
use super::layers::Layers;
use super::table::{self, Kind, Setting};
use crate::aws::budget::{PERCENT_MAX, PERCENT_MIN};
use crate::aws::roles::{Roles, is_external_id};
use crate::base::parse_time;
use crate::base::text::quoted;
use crate::base::url::{Url, UrlError};
use crate::deliver::Signing;
use crate::pipeline::Senders;
use crate::secrets::{REFERENCES_MAX, RefError, SecretRef};
use crate::store::Location;

/// The most services with separate secrets.
const SERVICES_MAX: usize = 1_000;

/// Prefix of the endpoint variables of AWS.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// Reads the location of a rules file: a reference, or a path.
pub fn routes(text: &str) -> Result<SecretRef, RefError> {
    let is_reference = ["env:", "file:", "secretsmanager:", "ssm:"].iter().any(|kind| text.starts_with(kind));
    if is_reference { text.parse() } else { format!("file:{text}").parse() }
}

/// Why a text is not a value of its setting.
pub(super) enum Invalid {
    /// It does not have the form of such a value.
    Form,
    /// It has the form, but cannot be used for this reason.
    Unusable(String),
}

impl<E: std::error::Error> From<E> for Invalid {
    fn from(error: E) -> Self {
        Self::Unusable(error.to_string())
    }
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
    pub(super) fn read<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let mut values = Vec::new();
        for (text, origin) in self.layers.all(setting) {
            let value = parse(text.trim()).map_err(|invalid| match invalid {
                Invalid::Form => setting.kind.mismatch(text),
                Invalid::Unusable(problem) => problem,
            });
            let value = value.map_err(|problem| self.errors.push(SettingError::Wrong { origin, problem }));
            values.push(value.ok());
        }
        values.into_iter().next().flatten()
    }

    /// The same with a default, which is only used after an error or for a setting that may be left out.
    pub(super) fn value<T: Default>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> T {
        self.read(setting, parse).unwrap_or_default()
    }

    /// Adds an error about the value of a setting.
    pub(super) fn wrong(&mut self, setting: &'static Setting, problem: &str) {
        let origin = self.layers.all(setting).into_iter().next().map(|(_, origin)| origin);
        let wrong = |origin| SettingError::Wrong { origin, problem: problem.to_owned() };
        self.errors.extend(origin.map(wrong));
    }

    /// Adds an error if two settings have the same queue: each stage would reject the other's messages.
    pub(super) fn distinct(&mut self, urls: &QueueUrls) {
        let mut seen = BTreeMap::new();
        for (&name, url) in urls {
            let place = url.trim_end_matches('/').to_ascii_lowercase();
            let first = *seen.entry(place).or_insert(name);
            if first != name {
                let other = table::queue(first).variable();
                let problem = format!("this is also the queue of {other}; each stage needs a separate queue");
                let origin = self.layers.all(table::queue(name)).into_iter().next().map(|(_, origin)| origin);
                self.errors.extend(origin.map(|origin| SettingError::Wrong { origin, problem }));
            }
        }
    }

    /// Adds an error to a setting that needs a ledger if there is none. A wrong ledger is an error already.
    pub(super) fn need_ledger(&mut self, setting: &'static Setting) {
        let is_none = |(text, _): &(&str, String)| text.trim() == "none";
        if self.layers.all(&table::LEDGER).first().is_none_or(is_none) {
            let problem =
                format!("it needs a ledger, whose table it uses, but {} is `none`", table::LEDGER.variable());
            let origin = self.layers.all(setting).into_iter().next().map(|(_, origin)| origin);
            self.errors.extend(origin.map(|origin| SettingError::Wrong { origin, problem }));
        }
    }

    /// Checks the endpoint variables of AWS. The SDK reads them itself; here each error has the name of its variable.
    pub(super) fn endpoints(&mut self) {
        for (name, value) in self.layers.environment.iter() {
            let value = value.trim();
            if name.starts_with(ENDPOINT_VARIABLE)
                && !value.is_empty()
                && let Err(problem) = Url::parse(value)
            {
                self.errors.push(SettingError::Endpoint { variable: name.to_owned(), problem });
            }
        }
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
        self.value(setting, |text| match (setting.kind, text.parse()) {
            // `parse` would accept `+5`.
            (Kind::Number { least, most }, Ok(number))
                if (least..=most).contains(&number) && !text.starts_with('+') =>
            {
                Ok(number)
            }
            _ => Err(Invalid::Form),
        })
    }

    /// A time such as `90s`, `10m` or `1h`.
    pub(super) fn time(&mut self, setting: &'static Setting) -> Duration {
        self.value(setting, |text| {
            let Kind::Time { least, most } = setting.kind else { return Err(Invalid::Form) };
            let time = parse_time(text).filter(|time| (least..=most).contains(&time.as_secs()));
            time.ok_or(Invalid::Form)
        })
    }

    pub(super) fn millis(&mut self, setting: &'static Setting) -> Duration {
        Duration::from_millis(self.number(setting).into())
    }
}

pub(super) fn queue_url(text: &str) -> Result<String, Invalid> {
    match Url::parse(text) {
        Ok(url) if url.queue().is_some() => Ok(text.to_owned()),
        Err(error @ UrlError::Port(_)) => Err(error.into()),
        Err(UrlError::UserInfo) => {
            Err(Invalid::Unusable("a queue URL must not have a user name or password".to_owned()))
        }
        Err(_) if text.starts_with("arn:") => Err(Invalid::Unusable(format!(
            "`{}` is an ARN; the URL of a queue looks like \
             https://sqs.eu-west-1.amazonaws.com/111122223333/NAME",
            quoted(text)
        ))),
        _ => Err(Invalid::Form),
    }
}

/// The URL for traces of a collector, whose own URL may have a path before it.
///
/// Source: OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP".
pub(super) fn collector(text: &str) -> Result<Url, Invalid> {
    const PATH: &str = "/v1/traces";
    if cfg!(not(feature = "otel")) {
        return Err(Invalid::Unusable(
            "this build cannot export traces: it lacks the feature `otel`".to_owned(),
        ));
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(UrlError::Unreadable(_) | UrlError::Scheme(_)) => return Err(Invalid::Form),
        Err(error) => return Err(error.into()),
    };
    if url.path_and_query.contains('?') || text.contains('#') {
        return Err(Invalid::Unusable(
            "the URL of a collector must not have a query or a fragment".to_owned(),
        ));
    }
    let base = url.path_and_query.trim_end_matches('/');
    url.path_and_query = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
    Ok(url)
}

/// Whether requests to this URL leave the machine without TLS.
pub(super) fn is_clear_text(url: &Url) -> bool {
    let is_loopback =
        url.host.parse().map_or(url.host == "localhost", |ip: std::net::IpAddr| ip.is_loopback());
    !url.tls && !is_loopback
}

pub(super) fn principals(text: &str) -> Result<Senders, Invalid> {
    let ids: Vec<&str> = text.split(',').map(str::trim).collect();
    match ids.iter().find(|id| !is_principal(id)) {
        None => Ok(Senders::new(ids)),
        Some(id) if id.starts_with("arn:") => Err(Invalid::Unusable(format!(
            "{} is an ARN; SQS reports senders by unique id: `aws iam get-role --role-name NAME --query Role.RoleId` shows it",
            quoted(id)
        ))),
        Some(_) => Err(Invalid::Form),
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

pub(super) fn roles(text: &str) -> Result<Roles, Invalid> {
    Ok(text.parse::<Roles>()?)
}

pub(super) fn external_id(text: &str) -> Result<String, Invalid> {
    if is_external_id(text) { Ok(text.to_owned()) } else { Err(Invalid::Form) }
}

pub(super) fn ledger(text: &str) -> Result<Location, Invalid> {
    match text.split_once(':') {
        None if text == "none" => Ok(Location::None),
        Some(("dynamodb", table)) if !table.is_empty() => Ok(Location::DynamoDb(table.to_owned())),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Location::Sqlite(path.into())),
        _ => Err(Invalid::Form),
    }
}

/// Digits, with decimals after a point: no sign and no exponent, which `parse` would accept.
pub(super) fn percent(text: &str) -> Result<f64, Invalid> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent = text.parse().ok().filter(|percent| (PERCENT_MIN..=PERCENT_MAX).contains(percent));
    percent.filter(|_| is_decimal).ok_or(Invalid::Form)
}

pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, Invalid> {
    match text {
        "none" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| Invalid::Form),
    }
}

/// Source: Amazon `CloudWatch` User Guide, "Namespaces".
pub(super) fn namespace(text: &str) -> Result<Option<String>, Invalid> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    match text {
        "none" => Ok(None),
        _ if text.starts_with("AWS/") || text.starts_with(':') || text.len() > 255 => Err(Invalid::Form),
        _ if !text.is_empty() && text.bytes().all(is_legal) => Ok(Some(text.to_owned())),
        _ => Err(Invalid::Form),
    }
}

pub(super) fn signing(text: &str) -> Result<Signing, Invalid> {
    match text {
        "none" => Ok(Signing::Off),
        _ => Ok(Signing::By(SecretRef::list(text)?)),
    }
}

pub(super) fn secrets_of_services(text: &str) -> Result<BTreeMap<String, Vec<SecretRef>>, Invalid> {
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
        let reference = reference.parse().map_err(|error: RefError| invalid(&error.to_string()))?;
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
}
