//! The table of settings: names, kinds, defaults and help.
//!
//! It is the source of flags, environment variables, keys of the file, error messages and the table in `docs/cli.md`.

use std::fmt;

use crate::aws::budget::{PERCENT_MAX, PERCENT_MIN};
use crate::model::network;
use crate::pipeline::QueueName;

/// Prefix of every environment variable of this product.
pub const PREFIX: &str = "NOTIFIER_";

/// One setting.
#[derive(Debug)]
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
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// Its flag without the two dashes, such as `timeout-ms`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// The part of the product that a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The three queues.
    Queues,
    /// The ledger.
    Ledger,
    /// Discovery of the fleet, and which addresses may be called.
    Discovery,
    /// Calls to tasks.
    Delivery,
    /// The daemon, its trusted senders and its log.
    Daemon,
}

/// Form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The URL of an SQS queue.
    QueueUrl,
    /// Networks in CIDR notation.
    Networks,
    /// Unique ids of AWS principals.
    Principals,
    /// A ledger.
    Ledger,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number in a range, both ends included.
    Number {
        /// The minimum.
        least: u32,
        /// The maximum.
        most: u32,
    },
    /// A share in percent, with or without decimals.
    Percent,
    /// A local address and port to listen on, or none.
    Listen,
    /// Reference to a secret. Errors do not repeat it, because it may be the secret itself by mistake.
    Secret,
    /// References to secrets, or none.
    Secrets,
    /// References to the secrets of single services.
    SecretsOfServices,
}

impl Kind {
    /// Whether the value may be a secret by mistake.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets | Self::SecretsOfServices)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueUrl => f.write_str("the URL of an SQS queue"),
            Self::Networks => f.write_str("networks such as `10.0.0.0/8`, separated by commas"),
            Self::Principals => f.write_str("unique ids such as `AROA…` or `AIDA…`, separated by commas"),
            Self::Ledger => f.write_str("`dynamodb:TABLE`, `sqlite:PATH` or `none`"),
            Self::Word(words) => {
                let (last, rest) = words.split_last().unwrap_or((&"", &[]));
                write!(f, "`{}` or `{last}`", rest.join("`, `"))
            }
            Self::Number { least, most } => write!(f, "a whole number from {least} to {most}"),
            Self::Percent => write!(f, "a number from {PERCENT_MIN} to {PERCENT_MAX}, such as `12.5`"),
            Self::Listen => f.write_str("an address and port such as `127.0.0.1:8080`, or `none`"),
            Self::Secret => f.write_str("`env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`"),
            Self::Secrets => f.write_str(
                "`env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`, several separated by commas, or `none`",
            ),
            Self::SecretsOfServices => {
                f.write_str("`SERVICE=REFERENCE` pairs separated by commas, such as `web=file:/run/web.key`")
            }
        }
    }
}

/// The fewest letters of an abbreviated name.
const BEGINNING_MIN: usize = 4;

/// Every setting, in the order of the documentation.
pub static ALL: [&Setting; 28] = [
    &OBSERVER_QUEUE_URL,
    &SERVICES_QUEUE_URL,
    &TASKS_QUEUE_URL,
    &TRUSTED_SENDERS,
    &LEDGER,
    &LEDGER_DAYS,
    &HEALTH,
    &AWS_BUDGET_PERCENT,
    &ALLOW_NETWORKS,
    &CONCURRENCY,
    &CONNECT_TIMEOUT_MS,
    &TIMEOUT_MS,
    &ATTEMPTS,
    &RETRY_WAIT_MS,
    &RETRY_WAIT_MAX_MS,
    &RETRY_AFTER_MAX_MS,
    &HORIZON_MINUTES,
    &SIGNING_SECRET,
    &SIGNING_SECRETS,
    &SECRET_REFRESH_MS,
    &HEADERS_SECRET,
    &TLS_CA,
    &TLS_CERTIFICATE,
    &TLS_KEY,
    &LISTEN,
    &GRACE_MS,
    &LOG_FORMAT,
    &LOG_LEVEL,
];

/// The setting with the URL of a queue.
#[must_use]
pub fn queue(name: QueueName) -> &'static Setting {
    match name {
        QueueName::Observer => &OBSERVER_QUEUE_URL,
        QueueName::Services => &SERVICES_QUEUE_URL,
        QueueName::Tasks => &TASKS_QUEUE_URL,
    }
}

/// The setting with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    ALL.into_iter().find(|setting| setting.name == name)
}

/// The name that is most similar to `wrong`, if one is similar: a few letters are wrong, missing, added or swapped, or
/// the end is missing.
pub(super) fn likely<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let is_near = |name: &&str| {
        edits(name) <= 1 + name.len() / 10 || wrong.len() >= BEGINNING_MIN && name.starts_with(wrong)
    };
    names.into_iter().filter(is_near).min_by_key(|name| edits(name))
}

const fn setting(
    group: Group,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, kind, default, group, help }
}

const fn number(least: u32, most: u32) -> Kind {
    Kind::Number { least, most }
}

pub(super) static OBSERVER_QUEUE_URL: Setting = setting(
    Group::Queues,
    "observer_queue_url",
    Kind::QueueUrl,
    "",
    "URL of the observer queue, which receives requests for broadcasts",
);
pub(super) static SERVICES_QUEUE_URL: Setting = setting(
    Group::Queues,
    "services_queue_url",
    Kind::QueueUrl,
    "",
    "URL of the services queue, input of task discovery",
);
pub(super) static TASKS_QUEUE_URL: Setting = setting(
    Group::Queues,
    "tasks_queue_url",
    Kind::QueueUrl,
    "",
    "URL of the tasks queue, input of the notify stage",
);
/// Required if separate processes run the stages.
pub static TRUSTED_SENDERS: Setting = setting(
    Group::Daemon,
    "trusted_senders",
    Kind::Principals,
    "",
    "Unique ids of the roles and users that are trusted senders on the services and tasks queues; the daemon adds its own",
);
pub(super) static LEDGER: Setting = setting(
    Group::Ledger,
    "ledger",
    Kind::Ledger,
    "none",
    "Ledger of every broadcast and outcome: a DynamoDB table, a SQLite file, or none",
);
pub(super) static LEDGER_DAYS: Setting = setting(
    Group::Ledger,
    "ledger_days",
    number(1, 3_650),
    "30",
    "Retention of a broadcast in the ledger, in days",
);
pub(super) static HEALTH: Setting = setting(
    Group::Discovery,
    "health",
    Kind::Word(&["detect", "require", "ignore"]),
    "detect",
    "Whether a container must be healthy to be called: only with a health check (`detect`), always, or never",
);
pub(super) static AWS_BUDGET_PERCENT: Setting = setting(
    Group::Discovery,
    "aws_budget_percent",
    Kind::Percent,
    "50",
    "Share of the account's ECS and EC2 request rate that this process may use, in percent",
);
/// The only networks that may be called.
pub static ALLOW_NETWORKS: Setting = setting(
    Group::Discovery,
    "allow_networks",
    Kind::Networks,
    network::DEFAULT,
    "Networks whose addresses may be called; loopback must be named explicitly",
);
pub(super) static CONCURRENCY: Setting = setting(
    Group::Delivery,
    "concurrency",
    number(1, 10_000),
    "256",
    "Maximum number of calls at the same time",
);
pub(super) static CONNECT_TIMEOUT_MS: Setting = setting(
    Group::Delivery,
    "connect_timeout_ms",
    number(1, 60_000),
    "1000",
    "Time-out of the connection of one attempt, in milliseconds; at most `timeout_ms`",
);
pub(super) static TIMEOUT_MS: Setting = setting(
    Group::Delivery,
    "timeout_ms",
    number(1, 600_000),
    "3000",
    "Time-out of one attempt, in milliseconds, including connection and answer",
);
pub(super) static ATTEMPTS: Setting = setting(
    Group::Delivery,
    "attempts",
    number(1, 20),
    "3",
    "Maximum number of attempts before a delivery goes back to its queue; 1 means no quick retry",
);
pub(super) static RETRY_WAIT_MS: Setting = setting(
    Group::Delivery,
    "retry_wait_ms",
    number(1, 60_000),
    "200",
    "Maximum backoff before the second attempt, in milliseconds; it doubles with each attempt, with jitter",
);
pub(super) static RETRY_WAIT_MAX_MS: Setting = setting(
    Group::Delivery,
    "retry_wait_max_ms",
    number(1, 600_000),
    "2000",
    "Upper limit of that backoff, in milliseconds",
);
pub(super) static RETRY_AFTER_MAX_MS: Setting = setting(
    Group::Delivery,
    "retry_after_max_ms",
    number(0, 600_000),
    "10000",
    "Upper limit of a task's Retry-After between quick attempts, in milliseconds; a delivery on its queue may wait longer",
);
/// The horizon of queued deliveries.
pub static HORIZON_MINUTES: Setting = setting(
    Group::Delivery,
    "horizon_minutes",
    number(0, 60),
    "10",
    "Period in which a failed delivery goes back to its queue for a retry, in minutes; 0 means no retry",
);
/// Required for unattended processes: the keys, or `none`.
pub static SIGNING_SECRET: Setting = setting(
    Group::Delivery,
    "signing_secret",
    Kind::Secrets,
    "",
    "Secret with the keys that sign requests (`whsec_`, `whsk_`); `none` sends unsigned requests",
);
pub(super) static SIGNING_SECRETS: Setting = setting(
    Group::Delivery,
    "signing_secrets",
    Kind::SecretsOfServices,
    "",
    "Secrets with separate signing keys for single services; a service may occur twice",
);
pub(super) static SECRET_REFRESH_MS: Setting = setting(
    Group::Delivery,
    "secret_refresh_ms",
    number(1_000, 86_400_000),
    "300000",
    "Maximum age of a secret from AWS before it is read again, in milliseconds; files: one second; keys: also after an answer 401",
);
pub(super) static HEADERS_SECRET: Setting = setting(
    Group::Delivery,
    "headers_secret",
    Kind::Secret,
    "",
    "Secret with extra request headers, one `name: value` per line",
);
pub(super) static TLS_CA: Setting = setting(
    Group::Delivery,
    "tls_ca",
    Kind::Secret,
    "",
    "Secret with the only CAs trusted for tasks, in PEM (default: the system's)",
);
pub(super) static TLS_CERTIFICATE: Setting = setting(
    Group::Delivery,
    "tls_certificate",
    Kind::Secret,
    "",
    "Secret with the client certificate for tasks that require one, in PEM; needs `tls_key`",
);
pub(super) static TLS_KEY: Setting = setting(
    Group::Delivery,
    "tls_key",
    Kind::Secret,
    "",
    "Secret with the private key of `tls_certificate`, in PEM",
);
pub(super) static LISTEN: Setting = setting(
    Group::Daemon,
    "listen",
    Kind::Listen,
    "127.0.0.1:8080",
    "Address and port of the daemon's /healthz and /readyz",
);
/// The daemon's grace time.
pub static GRACE_MS: Setting = setting(
    Group::Daemon,
    "grace_ms",
    number(0, 600_000),
    "20000",
    "Time for work in flight to end at shutdown, in milliseconds; returning the rest to the queues takes up to 5 s more",
);
pub(super) static LOG_FORMAT: Setting =
    setting(Group::Daemon, "log_format", Kind::Word(&["text", "json"]), "text", "Format of the daemon's log");
pub(super) static LOG_LEVEL: Setting = setting(
    Group::Daemon,
    "log_level",
    Kind::Word(&["error", "warn", "info", "debug", "trace"]),
    "info",
    "Level of the daemon's log",
);
