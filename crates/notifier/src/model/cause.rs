//! Why a container was not notified, by kind. Pure.

use serde::{Deserialize, Serialize};

/// Why a container was not notified: a stable word for scripts. Advice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its labels are not valid.
    Label,
    /// The cluster has no service of the name.
    NoSuchService,
    /// ECS listed it but did not describe it.
    NotDescribed,
    /// Its task definition cannot be read.
    TaskDefinition,
    /// Its task has no network.
    NetworkModeNone,
    /// Its port is not mapped to the host.
    PortNotMapped,
    /// ECS knows no address of its task yet.
    NoAddress,
    /// Its host is not known, or has no private address.
    Host,
    /// Its address must not be called.
    AddressRefused,
    /// It does not run, although its task runs.
    ContainerNotRunning,
    /// It is not healthy.
    Health,
    /// The broadcast was cancelled.
    Cancelled,
    /// Discovery of its service failed.
    Discovery,
    /// It answered with another status than success.
    Answered,
    /// The connection was refused, or there is no route.
    Unreachable,
    /// The connection timed out.
    ConnectTimedOut,
    /// The answer timed out.
    TimedOut,
    /// The connection was closed before an answer.
    Broken,
    /// The answer is not HTTP.
    NotHttp,
    /// The TLS handshake failed.
    Tls,
    /// Its labels require a request that cannot be signed.
    Unsignable,
    /// Its task stopped first.
    Stopped,
    /// It cannot be called at the moment, although its task runs.
    Nowhere,
    /// The lookup of its task failed.
    Lost,
    /// The notifier had no file, port or memory left for a connection.
    NoRoom,
    /// A bug in the notifier.
    Fault,
    /// The message of the delivery was given up.
    GivenUp,
    /// Its dead letter was dropped.
    Dropped,
    /// The run was interrupted before it was called.
    Interrupted,
    /// A word of a later version.
    #[serde(other)]
    Other,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 30] = [
        Self::Label,
        Self::NoSuchService,
        Self::NotDescribed,
        Self::TaskDefinition,
        Self::NetworkModeNone,
        Self::PortNotMapped,
        Self::NoAddress,
        Self::Host,
        Self::AddressRefused,
        Self::ContainerNotRunning,
        Self::Health,
        Self::Cancelled,
        Self::Discovery,
        Self::Answered,
        Self::Unreachable,
        Self::ConnectTimedOut,
        Self::TimedOut,
        Self::Broken,
        Self::NotHttp,
        Self::Tls,
        Self::Unsignable,
        Self::Stopped,
        Self::Nowhere,
        Self::Lost,
        Self::NoRoom,
        Self::Fault,
        Self::GivenUp,
        Self::Dropped,
        Self::Interrupted,
        Self::Other,
    ];

    /// The word, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::NoSuchService => "no-such-service",
            Self::NotDescribed => "not-described",
            Self::TaskDefinition => "task-definition",
            Self::NetworkModeNone => "network-mode-none",
            Self::PortNotMapped => "port-not-mapped",
            Self::NoAddress => "no-address",
            Self::Host => "host",
            Self::AddressRefused => "address-refused",
            Self::ContainerNotRunning => "container-not-running",
            Self::Health => "health",
            Self::Cancelled => "cancelled",
            Self::Discovery => "discovery",
            Self::Answered => "answered",
            Self::Unreachable => "unreachable",
            Self::ConnectTimedOut => "connect-timed-out",
            Self::TimedOut => "timed-out",
            Self::Broken => "broken",
            Self::NotHttp => "not-http",
            Self::Tls => "tls",
            Self::Unsignable => "unsignable",
            Self::Stopped => "stopped",
            Self::Nowhere => "nowhere",
            Self::Lost => "lost",
            Self::NoRoom => "no-room",
            Self::Fault => "fault",
            Self::GivenUp => "given-up",
            Self::Dropped => "dropped",
            Self::Interrupted => "interrupted",
            Self::Other => "other",
        }
    }
}
