//! Every setting: a flag, else an environment variable, else a key of a TOML file, else a default.
//!
//! All errors are reported at once, with the name that the user wrote. Other modules get their values from here and do
//! not read the environment.

mod error;
mod layers;
mod parse;
pub mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::aws::roles::Roles;
use crate::base::url::Url;
use crate::base::{Environment, words};
use crate::deliver;
use crate::fleet::registry::{RegisteredClusters, RegistryOptions};
use crate::fleet::{DiscoveryPolicy, HealthPolicy};
use crate::ledger::LedgerOptions;
use crate::model::network::Networks;
use crate::pipeline::{QueueName, Senders};
use crate::secrets::SecretRef;
use layers::{File, Layers};
use parse::Reader;
use table::Setting;

pub use error::{SettingError, SettingErrors};
pub use layers::{CONFIG_VARIABLE, Flags};
pub use parse::routes as routes_location;

/// Every setting, valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// URLs of the queues.
    pub queues: QueueUrls,
    /// The trusted senders of the inner queues.
    pub trusted_senders: Senders,
    /// The ledger of broadcasts and outcomes.
    pub ledger: LedgerOptions,
    /// The registry of tasks.
    pub registry: RegistryOptions,
    /// Which containers are ready to be called.
    pub health: HealthPolicy,
    /// Share of the account's AWS request rate that this process may use, in percent, from 0.01 to 100.
    pub aws_budget_percent: f64,
    /// Whether all processes with the same ledger share that budget.
    pub aws_budget_shared: bool,
    /// The roles that may be assumed in other accounts.
    pub roles: Roles,
    /// The only networks that may be called.
    pub allow_networks: Networks,
    /// Whether hosts outside AWS (ECS Anywhere) are looked up.
    pub anywhere: bool,
    /// How the tasks of a scope are found.
    pub discovery: DiscoveryPolicy,
    /// Options of deliveries.
    pub delivery: deliver::DeliveryOptions,
    /// Signing keys, headers and certificates.
    pub auth: deliver::AuthSettings,
    /// Location of the rules that route events; `None`: no rules.
    pub routes: Option<SecretRef>,
    /// Options of the daemon.
    pub daemon: Daemon,
    /// Export of traces.
    pub traces: TraceSettings,
}

/// Export of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceSettings {
    /// Where spans are posted, with the path; `None`: nowhere.
    pub endpoint: Option<Url>,
    /// Extra request headers.
    pub headers: Option<SecretRef>,
    /// Of the traces without a failure, one in this many is exported.
    pub one_in: u32,
}

/// The URLs of the queues that are set.
pub type QueueUrls = BTreeMap<QueueName, String>;

/// Options of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Address of the health endpoints; `None` for none.
    pub listen: Option<SocketAddr>,
    /// Time for work in flight to end after a signal.
    pub grace: Duration,
    /// Whether the deliveries of each service are counted separately.
    pub metrics_services: bool,
    /// Namespace of the functions' metrics; `None` for no metrics.
    pub metrics_namespace: Option<String>,
    /// Format of the log.
    pub log_format: LogFormat,
    /// Level of the log.
    pub log_level: tracing::Level,
}

words! {
    /// Format of a log.
    pub enum LogFormat {
        /// A line of text for each event.
        Text = "text",
        /// A JSON object for each event.
        Json = "json",
    }
}

/// The sources of settings.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The command line: values by the settings' names.
    pub flags: &'a Flags,
    /// The file of the command line.
    pub config: Option<&'a Path>,
    /// The environment.
    pub environment: &'a Environment,
    /// Required settings.
    pub needed: &'a [&'static Setting],
}

impl Settings {
    /// Reads every setting. Also returns a warning for each variable with the prefix that is not a setting.
    pub fn load(sources: Sources<'_>) -> Result<(Self, Vec<String>), SettingErrors> {
        let Sources { flags, config, environment, needed } = sources;
        let (file, errors) = File::load(config, environment);
        let settings = Self::resolve(&Layers { flags, environment, file: &file }, needed, errors)?;
        Ok((settings, layers::unknown_variables(environment)))
    }

    fn resolve(
        layers: &Layers<'_>,
        needed: &[&'static Setting],
        errors: Vec<SettingError>,
    ) -> Result<Self, SettingErrors> {
        let mut reader = Reader { layers, errors };
        for setting in needed {
            reader.need(setting);
        }
        reader.endpoints();
        let url = |name| Some((name, reader.read(table::queue(name), parse::queue_url)?));
        let queues: QueueUrls = QueueName::ALL.into_iter().filter_map(url).collect();
        reader.distinct(&queues);
        let settings = Self {
            trusted_senders: reader.value(&table::TRUSTED_SENDERS, parse::principals),
            ledger: LedgerOptions {
                location: reader.value(&table::LEDGER, parse::ledger),
                days: reader.number(&table::LEDGER_DAYS),
            },
            registry: registry(&mut reader, &queues),
            health: reader.word(&table::HEALTH, HealthPolicy::of).unwrap_or_default(),
            aws_budget_percent: reader.value(&table::AWS_BUDGET_PERCENT, parse::percent),
            aws_budget_shared: reader
                .word(&table::AWS_BUDGET_SHARED, |word| Some(word == "true"))
                .unwrap_or(true),
            roles: roles(&mut reader),
            allow_networks: reader.value(&table::ALLOW_NETWORKS, |text| Ok(text.parse()?)),
            anywhere: reader.word(&table::ANYWHERE, |word| Some(word == "true")).unwrap_or_default(),
            discovery: reader.word(&table::DISCOVERY, DiscoveryPolicy::of).unwrap_or_default(),
            delivery: delivery(&mut reader),
            auth: auth(&mut reader),
            queues,
            routes: reader.read(&table::ROUTES, |text| Ok(parse::routes(text)?)),
            daemon: Daemon {
                listen: reader.value(&table::LISTEN, parse::listen),
                grace: reader.millis(&table::GRACE_MS),
                metrics_services: reader
                    .word(&table::METRICS_SERVICES, |word| Some(word == "true"))
                    .unwrap_or_default(),
                metrics_namespace: reader.value(&table::METRICS_NAMESPACE, parse::namespace),
                log_format: reader.word(&table::LOG_FORMAT, LogFormat::of).unwrap_or(LogFormat::Text),
                log_level: reader
                    .word(&table::LOG_LEVEL, |word| word.parse().ok())
                    .unwrap_or(tracing::Level::INFO),
            },
            traces: traces(&mut reader),
        };
        if reader.errors.is_empty() { Ok(settings) } else { Err(SettingErrors(reader.errors)) }
    }
}

/// The registry needs clusters, and a ledger whose table it is kept in.
fn registry(reader: &mut Reader<'_>, queues: &QueueUrls) -> RegistryOptions {
    if queues.contains_key(&QueueName::Registry) {
        reader.need(&table::REGISTRY_CLUSTERS);
    }
    let clusters: RegisteredClusters = reader.value(&table::REGISTRY_CLUSTERS, |text| Ok(text.parse()?));
    if !clusters.is_empty() {
        reader.need_ledger(&table::REGISTRY_CLUSTERS);
    }
    RegistryOptions { clusters, sweep: reader.time(&table::REGISTRY_SWEEP) }
}

fn roles(reader: &mut Reader<'_>) -> Roles {
    let roles = reader.value(&table::ROLES, parse::roles);
    roles.with_external_id(reader.read(&table::ROLE_EXTERNAL_ID, parse::external_id))
}

fn delivery(reader: &mut Reader<'_>) -> deliver::DeliveryOptions {
    let timeout = reader.millis(&table::TIMEOUT_MS);
    deliver::DeliveryOptions {
        connect_timeout: reader.millis(&table::CONNECT_TIMEOUT_MS).min(timeout),
        timeout,
        attempts: reader.number(&table::ATTEMPTS),
        wait_first: reader.millis(&table::RETRY_WAIT_MS),
        wait_most: reader.millis(&table::RETRY_WAIT_MAX_MS),
        retry_after_most: reader.millis(&table::RETRY_AFTER_MAX_MS),
        horizon: Duration::from_secs(60 * u64::from(reader.number(&table::HORIZON_MINUTES))),
        concurrency: reader.number(&table::CONCURRENCY) as usize,
        ..deliver::DeliveryOptions::default()
    }
}

fn auth(reader: &mut Reader<'_>) -> deliver::AuthSettings {
    let secret = |reader: &mut Reader<'_>, setting| reader.read(setting, |text| Ok(text.parse()?));
    let certificate = secret(reader, &table::TLS_CERTIFICATE);
    let key = secret(reader, &table::TLS_KEY);
    match (&certificate, &key) {
        (Some(_), None) => reader.need(&table::TLS_KEY),
        (None, Some(_)) => reader.need(&table::TLS_CERTIFICATE),
        _ => {}
    }
    deliver::AuthSettings {
        signing: reader.value(&table::SIGNING_SECRET, parse::signing),
        signing_of_services: reader.value(&table::SIGNING_SECRETS, parse::secrets_of_services),
        headers: secret(reader, &table::HEADERS_SECRET),
        tls_ca: secret(reader, &table::TLS_CA),
        tls_client: certificate.zip(key),
        refresh: reader.millis(&table::SECRET_REFRESH_MS),
    }
}

fn traces(reader: &mut Reader<'_>) -> TraceSettings {
    let endpoint = reader.read(&table::OTLP_ENDPOINT, parse::collector);
    let headers = reader.read(&table::OTLP_HEADERS, |text| Ok(text.parse()?));
    if headers.is_some() && endpoint.as_ref().is_some_and(parse::is_clear_text) {
        reader
            .wrong(&table::OTLP_HEADERS, "the secret would be sent in clear text; the collector needs https");
    }
    TraceSettings { endpoint, headers, one_in: reader.number(&table::OTLP_SAMPLE_ONE_IN) }
}

#[cfg(test)]
mod tests;
