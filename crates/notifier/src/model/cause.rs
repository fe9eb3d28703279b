//! The kinds of things that keep a container from being told. Pure.

use serde::{Deserialize, Serialize};

/// What kind of thing kept a container from being told: a stable word for scripts, which advice goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its labels cannot be followed.
    Label,
    /// The cluster has no service of the name.
    NoSuchService,
    /// ECS listed it and then did not describe it.
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
    /// It does not run although its task does.
    ContainerNotRunning,
    /// It is not healthy.
    Health,
    /// The broadcast was cancelled.
    Cancelled,
    /// Its service's tasks could not be looked for.
    Discovery,
    /// It answered, but not that it accepts the event: the status says more.
    Answered,
    /// Nobody accepts connections there, or the network does not lead there.
    Unreachable,
    /// There was no connection in time.
    ConnectTimedOut,
    /// There was no answer in time.
    TimedOut,
    /// The connection ended before an answer.
    Broken,
    /// What answers speaks no HTTP.
    NotHttp,
    /// There is no TLS with whoever answers.
    Tls,
    /// Its labels ask for a form of request that cannot be signed.
    Unsignable,
    /// Its task stopped first.
    Stopped,
    /// It cannot be called at the moment, though its task runs.
    Nowhere,
    /// AWS could not be asked where its task is by now.
    Lost,
    /// The notifier had no file, port or memory left for a connection.
    NoRoom,
    /// A fault in the notifier.
    Fault,
    /// The message that asked for the delivery was given up.
    GivenUp,
    /// Its dead letter was dropped.
    Dropped,
    /// The run that was to call it was interrupted.
    Interrupted,
    /// A word that a later version wrote.
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
