//! The outcome of one delivery, and why a container was not notified. Pure.

use serde::{Deserialize, Serialize};

use crate::base::words;

words! {
    /// The outcome of one delivery, in the order of reports.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Outcome {
        /// The task accepted the event.
        Delivered = "delivered",
        /// The task rejected the event, and would reject it again.
        Rejected = "rejected",
        /// No attempts are left.
        Failed = "failed",
        /// The task stopped first, or answered that it is stopping.
        Gone = "gone",
        /// The container could not be called.
        Skipped = "skipped",
    }
}

impl Outcome {
    /// Whether no further delivery is needed: the container accepted the event, or its task had stopped.
    pub fn is_notified(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone)
    }
}

words! {
    /// Why a container was not notified: a stable word for scripts. Advice depends on it.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Cause {
        /// Its labels are not valid.
        Label = "label",
        /// The cluster has no service of the name.
        NoSuchService = "no-such-service",
        /// ECS listed it but did not describe it.
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
        /// It does not run, although its task runs.
        ContainerNotRunning = "container-not-running",
        /// It is not healthy.
        Health = "health",
        /// The broadcast was cancelled.
        Cancelled = "cancelled",
        /// Discovery of its service failed.
        Discovery = "discovery",
        /// It answered with another status than success.
        Answered = "answered",
        /// The connection was refused, or there is no route.
        Unreachable = "unreachable",
        /// The connection timed out.
        ConnectTimedOut = "connect-timed-out",
        /// The answer timed out.
        TimedOut = "timed-out",
        /// The connection was closed before an answer.
        Broken = "broken",
        /// The answer is not HTTP.
        NotHttp = "not-http",
        /// The TLS handshake failed.
        Tls = "tls",
        /// Its labels require a request that cannot be signed.
        Unsignable = "unsignable",
        /// Its labels require a request without a body, which cannot ask a question.
        Method = "method",
        /// Its task stopped first; of a skipped container: its broadcast was stopped first.
        Stopped = "stopped",
        /// It cannot be called at the moment, although its task runs.
        Nowhere = "nowhere",
        /// The lookup of its task failed.
        Lost = "lost",
        /// The notifier had no file, port or memory left for a connection.
        NoRoom = "no-room",
        /// A bug in the notifier.
        Fault = "fault",
        /// The message of the delivery was given up.
        GivenUp = "given-up",
        /// Its dead letter was dropped.
        Dropped = "dropped",
        /// The run was interrupted before the call.
        Interrupted = "interrupted",
        /// A word of a later version.
        #[serde(other)]
        Other = "other",
    }
}
