//! The one table of every setting: its names, what it takes, its default and what it is for.
//!
//! The flags of the command line, the environment variables, the keys of the file, the messages about mistakes and the
//! table in `docs/cli.md` all come from here.

use std::fmt;

use crate::aws::budget::{PERCENT_MAX, PERCENT_MIN};
use crate::model::network;
use crate::pipeline::QueueName;

/// What every environment variable of this product begins with.
pub const PREFIX: &str = "NOTIFIER_";

/// Everything about one setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file; the other names come from it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is when nobody sets it, as one would write it; empty means not set.
    pub default: &'static str,
    /// Where it belongs.
    pub group: Group,
    /// What it is for, in one sentence without the full stop.
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

/// Which part of the product a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the three queues are.
    Queues,
    /// Where outcomes are kept.
    Ledger,
    /// How the fleet is found, and what of it may be called.
    Discovery,
    /// How tasks are called.
    Delivery,
    /// The long-running process, whom it believes, and its log.
    Daemon,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The URL of an SQS queue.
    QueueUrl,
    /// Networks in CIDR notation.
    Networks,
    /// Unique ids of AWS principals.
    Principals,
    /// Where outcomes are kept.
    Ledger,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number in a range, both ends included.
    Number {
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// A share in percent, with or without decimals.
    Percent,
    /// A local address and port to listen on, or none.
    Listen,
    /// Where a secret is: never the secret itself, and so never repeated in a message.
    Secret,
    /// Where one secret or several are, or none.
    Secrets,
    /// Where the secrets of single services are.
    SecretsOfServices,
}

impl Kind {
    /// Whether what is set may be a secret by mistake.
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

/// The letters of a name that stand for the whole.
const BEGINNING_MIN: usize = 4;

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

/// The name that is nearest to `wrong`, when it is near: a letter in five may be wrong, missing, too many or swapped, or the
/// end may be missing.
pub(super) fn likely<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let is_near = |name: &&str| {
        edits(name) <= 1 + name.len() / 10 || wrong.len() >= BEGINNING_MIN && name.starts_with(wrong)
    };
    names.into_iter().filter(is_near).min_by_key(|name| edits(name))
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

        /// Every setting, in the order in which people want to read them.
        pub static ALL: [&Setting; [$($name),+].len()] = [$(&$constant),+];
    };
}

settings! {
    pub(super) OBSERVER_QUEUE_URL: Queues, "observer_queue_url", Kind::QueueUrl, "",
        "The queue that asks for broadcasts";
    pub(super) SERVICES_QUEUE_URL: Queues, "services_queue_url", Kind::QueueUrl, "",
        "The queue of the services whose tasks are to be found";
    pub(super) TASKS_QUEUE_URL: Queues, "tasks_queue_url", Kind::QueueUrl, "",
        "The queue of the tasks to be called";
    /// Whoever runs a stage by itself says who runs the others.
    pub TRUSTED_SENDERS: Daemon, "trusted_senders", Kind::Principals, "",
        "Unique ids of the roles and users whose messages on the services and tasks queues are believed; the daemon adds its own";
    pub(super) LEDGER: Ledger, "ledger", Kind::Ledger, "none",
        "Where every broadcast and outcome is recorded: a DynamoDB table, a file of this machine, or nowhere";
    pub(super) LEDGER_DAYS: Ledger, "ledger_days", number(1, 3_650), "30",
        "How long the ledger keeps them, in days";
    pub(super) HEALTH: Discovery, "health", Kind::Word(&["detect", "require", "ignore"]), "detect",
        "Whether a container must be healthy to be called: where it has a health check, always, or never";
    pub(super) AWS_BUDGET_PERCENT: Discovery, "aws_budget_percent", Kind::Percent, "50",
        "How much of the account's ECS and EC2 request rate may be used; the rest is left to everybody else";
    /// The only networks that may be called.
    pub ALLOW_NETWORKS: Discovery, "allow_networks", Kind::Networks, network::DEFAULT,
        "The only addresses that may be called; loopback opens only when named here";
    pub(super) CONCURRENCY: Delivery, "concurrency", number(1, 10_000), "256",
        "How many tasks are called at the same time";
    pub(super) CONNECT_TIMEOUT_MS: Delivery, "connect_timeout_ms", number(1, 60_000), "1000",
        "How long one attempt waits for a connection; never longer than `timeout_ms`";
    pub(super) TIMEOUT_MS: Delivery, "timeout_ms", number(1, 600_000), "3000",
        "How long one attempt waits for the whole answer, the connection included";
    pub(super) ATTEMPTS: Delivery, "attempts", number(1, 20), "3",
        "How many requests one delivery makes in quick succession; 1 means no quick retry";
    pub(super) RETRY_WAIT_MS: Delivery, "retry_wait_ms", number(1, 60_000), "200",
        "The longest wait before the second attempt; it doubles from attempt to attempt, and chance shortens it";
    pub(super) RETRY_WAIT_MAX_MS: Delivery, "retry_wait_max_ms", number(1, 600_000), "2000",
        "What the doubling of that wait ends at";
    pub(super) RETRY_AFTER_MAX_MS: Delivery, "retry_after_max_ms", number(0, 600_000), "10000",
        "How much of the wait that a task asks for with Retry-After is waited; what is left to the queue may take longer";
    /// How long a queued delivery is retried.
    pub HORIZON_MINUTES: Delivery, "horizon_minutes", number(0, 60), "10",
        "How long a delivery goes back to its queue to be tried again; 0 means never";
    /// What whoever calls tasks unattended must say: by which keys, or that there are none.
    pub SIGNING_SECRET: Delivery, "signing_secret", Kind::Secrets, "",
        "Where the keys are (`whsec_`, `whsk_`) that sign every request; `none` sends them unsigned";
    pub(super) SIGNING_SECRETS: Delivery, "signing_secrets", Kind::SecretsOfServices, "",
        "Services with keys of their own, and where these are; a service that is named twice has two";
    pub(super) SECRET_REFRESH_MS: Delivery, "secret_refresh_ms", number(1_000, 86_400_000), "300000",
        "How old a secret of AWS may be before it is read again; files are after a second, and keys when a task says 401";
    pub(super) HEADERS_SECRET: Delivery, "headers_secret", Kind::Secret, "",
        "Where headers are that every request carries, a line `name: value` for each";
    pub(super) TLS_CA: Delivery, "tls_ca", Kind::Secret, "",
        "Where the certificate authorities are, in PEM, that alone may vouch for tasks; those of the system when not set";
    pub(super) TLS_CERTIFICATE: Delivery, "tls_certificate", Kind::Secret, "",
        "Where the certificate is, in PEM, that is shown to tasks that ask who calls; needs `tls_key`";
    pub(super) TLS_KEY: Delivery, "tls_key", Kind::Secret, "",
        "Where the private key of `tls_certificate` is, in PEM";
    pub(super) LISTEN: Daemon, "listen", Kind::Listen, "127.0.0.1:8080",
        "Where the daemon answers /healthz and /readyz";
    /// How long the daemon finishes after a signal.
    pub GRACE_MS: Daemon, "grace_ms", number(0, 600_000), "20000",
        "How long the daemon finishes what it began when it is told to stop; handing the rest back takes up to 5 s more";
    pub(super) LOG_FORMAT: Daemon, "log_format", Kind::Word(&["text", "json"]), "text",
        "How the daemon's log is written";
    pub(super) LOG_LEVEL: Daemon, "log_level", Kind::Word(&["error", "warn", "info", "debug", "trace"]), "info",
        "How much the daemon logs";
}
