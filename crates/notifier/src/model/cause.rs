//! The kinds of things that keep a container from being told. Pure.

use serde::{Deserialize, Serialize};

use crate::base::words;

words! {
    /// What kind of thing kept a container from being told: a stable word for scripts, which advice goes by.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Cause {
        /// Its labels cannot be followed.
        Label = "label",
        /// The cluster has no service of the name.
        NoSuchService = "no-such-service",
        /// ECS listed it and then did not describe it.
        NotDescribed = "not-described",
        /// Its task definition cannot be read.
        TaskDefinition = "task-definition",
        /// Its task has no network.
        NetworkModeNone = "network-mode-none",
        /// Its port is not mapped to the host.
        PortNotMapped = "port-not-mapped",
        /// ECS knows no address of its task yet.
        NoAddress = "no-address",
        /// Its host is not known, or has no private address.
        Host = "host",
        /// Its address must not be called.
        AddressRefused = "address-refused",
        /// It does not run although its task does.
        ContainerNotRunning = "container-not-running",
        /// It is not healthy.
        Health = "health",
        /// The broadcast was cancelled.
        Cancelled = "cancelled",
        /// Its service's tasks could not be looked for.
        Discovery = "discovery",
        /// It answered, but not that it accepts the event: the status says more.
        Answered = "answered",
        /// Nobody accepts connections there, or the network does not lead there.
        Unreachable = "unreachable",
        /// There was no connection in time.
        ConnectTimedOut = "connect-timed-out",
        /// There was no answer in time.
        TimedOut = "timed-out",
        /// The connection ended before an answer.
        Broken = "broken",
        /// What answers speaks no HTTP.
        NotHttp = "not-http",
        /// There is no TLS with whoever answers.
        Tls = "tls",
        /// Its labels ask for a form of request that cannot be signed.
        Unsignable = "unsignable",
        /// Its task stopped first.
        Stopped = "stopped",
        /// It cannot be called at the moment, though its task runs.
        Nowhere = "nowhere",
        /// AWS could not be asked where its task is by now.
        Lost = "lost",
        /// The notifier had no file, port or memory left for a connection.
        NoRoom = "no-room",
        /// A fault in the notifier.
        Fault = "fault",
        /// The message that asked for the delivery was given up.
        GivenUp = "given-up",
        /// Its dead letter was dropped.
        Dropped = "dropped",
        /// The run that was to call it was interrupted.
        Interrupted = "interrupted",
        /// A word that a later version wrote.
        #[serde(other)]
        Other = "other",
    }
}
