//! The table of settings: names, kinds, defaults and help.
//!
//! It is the source of flags, environment variables, keys of the file, error messages and the table in `docs/cli.md`.

use std::fmt;
use std::time::Duration;

use crate::aws::budget::{PERCENT_MAX, PERCENT_MIN};
use crate::base::text::{near, quoted};
use crate::base::time;
use crate::model::network;
use crate::pipeline::QueueName;

/// Prefix of every environment variable of this product.
pub const PREFIX: &str = "NOTIFIER_";

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file; the other names are derived from it.
    pub name: &'static str,
    /// Form of its value.
    pub kind: Kind,
    /// Its default, as a user would write it; empty means not set.
    pub default: &'static str,
    /// Its group.
    pub group: Group,
    /// Its meaning, in one sentence without the full stop.
    pub help: &'static str,
}

impl Setting {
    /// Its environment variable, such as `NOTIFIER_TIMEOUT_MS`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// Its flag without the two dashes, such as `timeout-ms`.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// The part of the product that a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what it is")]
pub enum Group {
    Queues,
    Ledger,
    /// Discovery of the fleet, and which addresses may be called.
    Discovery,
    Delivery,
    /// Events of AWS services, and the rules for them.
    Sources,
    /// The daemon, its trusted senders and its log.
    Daemon,
    /// Export of traces.
    Traces,
}

/// Form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Display` says what each is")]
pub enum Kind {
    QueueUrl,
    Networks,
    Principals,
    /// Names, ARNs and patterns of clusters.
    Clusters,
    /// A time in seconds, minutes or hours, in seconds.
    Time {
        least: u64,
        most: u64,
    },
    Roles,
    ExternalId,
    Ledger,
    Word(&'static [&'static str]),
    Number {
        least: u32,
        most: u32,
    },
    Percent,
    Listen,
    /// Reference to a secret. Errors do not repeat it, because it may be the secret itself by mistake.
    Secret,
    Secrets,
    SecretsOfServices,
    /// Location of a rules file.
    Routes,
    /// Namespace of `CloudWatch`.
    Namespace,
    /// URL of a collector.
    Collector,
}

impl Kind {
    /// Whether the value may be a secret by mistake.
    fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets | Self::SecretsOfServices | Self::Routes)
    }

    /// Says that a text does not have this form. The text of a secret's reference may be the secret itself, so it is
    /// not repeated.
    pub(super) fn mismatch(self, text: &str) -> String {
        let text = if self.is_secret() { "…".to_owned() } else { quoted(text) };
        format!("`{text}` is not {self}")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueUrl => f.write_str("the URL of an SQS queue"),
            Self::Clusters => f.write_str("names or ARNs of clusters separated by commas, or `*`"),
            Self::Time { least, most } => {
                write!(f, "a time from `{}` to `{}`, such as `90s`, `10m` or `1h`", time(Duration::from_secs(*least)), time(Duration::from_secs(*most)))
            }
            Self::Networks => f.write_str("networks such as `10.0.0.0/8`, separated by commas"),
            Self::Principals => f.write_str("unique ids such as `AROA…` or `AIDA…`, separated by commas"),
            Self::Roles => {
                f.write_str("ARNs of IAM roles such as `arn:aws:iam::111122223333:role/NAME`, separated by commas")
            }
            Self::ExternalId => f.write_str("an external id of 2 to 1224 letters, digits and `_+=,.@:/-`"),
            Self::Ledger => f.write_str("`dynamodb:TABLE`, `sqlite:PATH` or `none`"),
            Self::Word(words) => {
                let (last, rest) = words.split_last().unwrap_or((&"", &[]));
                write!(f, "`{}` or `{last}`", rest.join("`, `"))
            }
            Self::Number { least, most } => write!(f, "a whole number from {least} to {most}"),
            Self::Percent => write!(f, "a number from {PERCENT_MIN} to {PERCENT_MAX}, such as `12.5`"),
            Self::Listen => f.write_str("an address and port such as `127.0.0.1:8080`, or `none`"),
            Self::Namespace => f.write_str(
                "a CloudWatch namespace of at most 255 letters, digits and `.-_/#:`, not `AWS/…`, or `none`",
            ),
            Self::Collector => f.write_str(
                "the URL of an OTLP collector, such as `http://127.0.0.1:4318` or `https://collector.example.com`",
            ),
            Self::Secret => f.write_str("`env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`"),
            Self::Secrets => f.write_str(
                "`env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`, several separated by commas, or `none`",
            ),
            Self::Routes => {
                f.write_str("a path, or `env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`")
            }
            Self::SecretsOfServices => {
                f.write_str("`SERVICE=REFERENCE` pairs separated by commas, such as `web=file:/run/web.key`")
            }
        }
    }
}

/// The fewest letters of an abbreviated name.
const BEGINNING_MIN: usize = 4;

/// The setting with the URL of a queue.
pub fn queue(name: QueueName) -> &'static Setting {
    match name {
        QueueName::Observer => &OBSERVER_QUEUE_URL,
        QueueName::Services => &SERVICES_QUEUE_URL,
        QueueName::Tasks => &TASKS_QUEUE_URL,
        QueueName::Registry => &REGISTRY_QUEUE_URL,
    }
}

/// The setting with this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    ALL.into_iter().find(|setting| setting.name == name)
}

/// The name that is most similar to `wrong`, if one is similar: a letter or two are wrong, missing, added or swapped, or
/// the end is missing.
pub(super) fn likely<'a>(wrong: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let is_beginning = |name: &&str| wrong.len() >= BEGINNING_MIN && name.starts_with(wrong);
    near(wrong, names.clone()).or_else(|| names.filter(is_beginning).min_by_key(|name| name.len()))
}

const fn number(least: u32, most: u32) -> Kind {
    Kind::Number { least, most }
}

/// Defines each setting: its group, name, kind, default and help.
macro_rules! settings {
    ($($(#[$doc:meta])* $vis:vis $constant:ident: $group:ident, $name:literal, $kind:expr, $default:expr,
        $help:literal;)+) => {
        $($(#[$doc])*
        $vis static $constant: Setting =
            Setting { name: $name, kind: $kind, default: $default, group: Group::$group, help: $help };)+

        /// Every setting, in the order of the documentation.
        pub static ALL: [&Setting; [$($name),+].len()] = [$(&$constant),+];
    };
}

settings! {
    pub(super) OBSERVER_QUEUE_URL: Queues, "observer_queue_url", Kind::QueueUrl, "",
        "URL of the observer queue, which receives requests for broadcasts";
    pub(super) SERVICES_QUEUE_URL: Queues, "services_queue_url", Kind::QueueUrl, "",
        "URL of the services queue, input of task discovery";
    pub(super) TASKS_QUEUE_URL: Queues, "tasks_queue_url", Kind::QueueUrl, "",
        "URL of the tasks queue, input of the notify stage";
    pub(super) REGISTRY_QUEUE_URL: Queues, "registry_queue_url", Kind::QueueUrl, "",
        "URL of the registry queue, which receives the task state change events of ECS; without it, no process keeps the registry";
    /// Required if the registry queue is set.
    pub REGISTRY_CLUSTERS: Discovery, "registry_clusters", Kind::Clusters, "",
        "Clusters whose tasks the registry keeps in the ledger's table, so that broadcasts to them need no discovery";
    pub(super) REGISTRY_SWEEP: Discovery, "registry_sweep", Kind::Time { least: 60, most: 86_400 }, "10m",
        "Time between two sweeps, which compare the registry with ECS; after two without one, it is not used";
    /// Required if separate processes run the stages.
    pub TRUSTED_SENDERS: Daemon, "trusted_senders", Kind::Principals, "",
        "Unique ids of the roles and users that are trusted senders on the services and tasks queues; the daemon adds its own";
    pub(super) LEDGER: Ledger, "ledger", Kind::Ledger, "none",
        "Ledger of every broadcast and outcome: a DynamoDB table, a SQLite file, or none";
    pub(super) LEDGER_DAYS: Ledger, "ledger_days", number(1, 3_650), "30",
        "Retention of a broadcast in the ledger, in days";
    pub(super) HEALTH: Discovery, "health", Kind::Word(&["detect", "require", "ignore"]), "detect",
        "Whether a container must be healthy to be called: only with a health check (`detect`), always, or never";
    pub(super) AWS_BUDGET_PERCENT: Discovery, "aws_budget_percent", Kind::Percent, "50",
        "Share of the account's ECS and EC2 request rate that this process may use, in percent; with a shared budget, all processes together";
    pub(super) AWS_BUDGET_SHARED: Discovery, "aws_budget_shared", Kind::Word(&["true", "false"]), "true",
        "Whether all processes with the same ledger and percentage share one budget of AWS requests; without a ledger, each has its own";
    pub(super) ROLES: Discovery, "roles", Kind::Roles, "",
        "Roles to assume for clusters of other accounts, one for each account; other accounts are refused";
    pub(super) ROLE_EXTERNAL_ID: Discovery, "role_external_id", Kind::ExternalId, "",
        "External id that the trust policies of these roles require";
    /// The only networks that may be called.
    pub ALLOW_NETWORKS: Discovery, "allow_networks", Kind::Networks, network::DEFAULT,
        "Networks whose addresses may be called; loopback must be named explicitly";
    pub(super) ANYWHERE: Discovery, "anywhere", Kind::Word(&["true", "false"]), "false",
        "Whether tasks on hosts outside AWS (ECS Anywhere) are called; `allow_networks` must name their network, other than its defaults";
    pub(super) DISCOVERY: Discovery, "discovery", Kind::Word(&["auto", "services", "sweep"]), "auto",
        "How the tasks of a scope are found: with the fewest calls (`auto`), service by service, or by a sweep of the cluster";
    pub(super) CONCURRENCY: Delivery, "concurrency", number(1, 10_000), "256",
        "Maximum number of calls at the same time";
    pub(super) CONNECT_TIMEOUT_MS: Delivery, "connect_timeout_ms", number(1, 60_000), "1000",
        "Time-out of the connection of one attempt, in milliseconds; at most `timeout_ms`";
    pub(super) TIMEOUT_MS: Delivery, "timeout_ms", number(1, 600_000), "3000",
        "Time-out of one attempt, in milliseconds, including connection and answer";
    pub(super) ATTEMPTS: Delivery, "attempts", number(1, 20), "3",
        "Maximum number of attempts before a delivery goes back to its queue; 1 means no quick retry";
    pub(super) RETRY_WAIT_MS: Delivery, "retry_wait_ms", number(1, 60_000), "200",
        "Maximum backoff before the second attempt, in milliseconds; it doubles with each attempt, with jitter";
    pub(super) RETRY_WAIT_MAX_MS: Delivery, "retry_wait_max_ms", number(1, 600_000), "2000",
        "Upper limit of that backoff, in milliseconds";
    pub(super) RETRY_AFTER_MAX_MS: Delivery, "retry_after_max_ms", number(0, 600_000), "10000",
        "Upper limit of a task's Retry-After between quick attempts, in milliseconds; a delivery on its queue may wait longer";
    /// The horizon of queued deliveries.
    pub HORIZON_MINUTES: Delivery, "horizon_minutes", number(0, 60), "10",
        "Period in which a failed delivery goes back to its queue for a retry, in minutes; 0 means no retry";
    /// Required for unattended processes: the keys, or `none`.
    pub SIGNING_SECRET: Delivery, "signing_secret", Kind::Secrets, "",
        "Secret with the keys that sign requests (`whsec_`, `whsk_`); `none` sends unsigned requests";
    pub(super) SIGNING_SECRETS: Delivery, "signing_secrets", Kind::SecretsOfServices, "",
        "Secrets with separate signing keys for single services; a service may occur twice";
    pub(super) SECRET_REFRESH_MS: Delivery, "secret_refresh_ms", number(1_000, 86_400_000), "300000",
        "Maximum age of a secret from AWS before it is read again, in milliseconds; files: one second; keys: also after an answer 401";
    pub(super) HEADERS_SECRET: Delivery, "headers_secret", Kind::Secret, "",
        "Secret with extra request headers, one `name: value` per line";
    pub(super) TLS_CA: Delivery, "tls_ca", Kind::Secret, "",
        "Secret with the only CAs trusted for tasks, in PEM (default: the system's)";
    pub(super) TLS_CERTIFICATE: Delivery, "tls_certificate", Kind::Secret, "",
        "Secret with the client certificate for tasks that require one, in PEM; needs `tls_key`";
    pub(super) TLS_KEY: Delivery, "tls_key", Kind::Secret, "",
        "Secret with the private key of `tls_certificate`, in PEM";
    /// The rules that turn events of AWS services into broadcasts.
    pub ROUTES: Sources, "routes", Kind::Routes, "",
        "Rules that turn events of AWS services into broadcasts; without them, only direct messages are accepted";
    pub(super) LISTEN: Daemon, "listen", Kind::Listen, "127.0.0.1:8080",
        "Address and port of the daemon's /healthz, /readyz and /metrics";
    /// The daemon's grace time.
    pub GRACE_MS: Daemon, "grace_ms", number(0, 600_000), "20000",
        "Time for work in flight to end at shutdown, in milliseconds; returning the rest to the queues takes up to 5 s more";
    pub(super) METRICS_SERVICES: Daemon, "metrics_services", Kind::Word(&["true", "false"]), "false",
        "Whether /metrics counts the deliveries of each service separately: of 1,000 services, the rest as `other`";
    pub(super) METRICS_NAMESPACE: Daemon, "metrics_namespace", Kind::Namespace, "EcsTaskNotifier",
        "CloudWatch namespace of the functions' metrics, which they write to their log; `none` writes none";
    pub(super) LOG_FORMAT: Daemon, "log_format", Kind::Word(&["text", "json"]), "text",
        "Format of the daemon's log";
    pub(super) LOG_LEVEL: Daemon, "log_level", Kind::Word(&["error", "warn", "info", "debug", "trace"]), "info",
        "Level of the daemon's log";
    pub(super) OTLP_ENDPOINT: Traces, "otlp_endpoint", Kind::Collector, "",
        "Collector that receives traces, by OTLP over HTTP at its path /v1/traces; not set: no traces are exported";
    pub(super) OTLP_HEADERS: Traces, "otlp_headers", Kind::Secret, "",
        "Secret with extra headers of requests to the collector, one `name: value` per line; needs https, except on loopback";
    pub(super) OTLP_SAMPLE_ONE_IN: Traces, "otlp_sample_one_in", number(1, 1_000_000), "100",
        "Of the traces without a failure, one in this many is exported; every failure is exported";
}
