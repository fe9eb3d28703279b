//! The scope of a broadcast.

use clap::Args;
use wire::{BroadcastId, ObserverMessage};

/// The scope of a broadcast.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct ScopeArgs {
    /// The cluster: its name or ARN
    #[arg(short, long, value_name = "NAME", value_parser = cluster)]
    pub(crate) cluster: String,

    /// Only this service: its name or ARN; repeat it for more
    #[arg(
        short,
        long = "service",
        value_name = "NAME",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub(crate) services: Vec<String>,

    /// Also standalone tasks, which no service started
    #[arg(long, conflicts_with = "services")]
    pub(crate) standalone: bool,
}

/// The recipients of an event: a scope, or the containers that an earlier broadcast did not notify.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct AudienceArgs {
    /// The cluster: its name or ARN
    #[arg(
        short,
        long,
        value_name = "NAME",
        required_unless_present = "failed_of",
        value_parser = cluster
    )]
    cluster: Option<String>,

    /// Only this service: its name or ARN; repeat it for more
    #[arg(
        short,
        long = "service",
        value_name = "NAME",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    services: Vec<String>,

    /// Also standalone tasks, which no service started
    #[arg(long, conflicts_with = "services")]
    standalone: bool,

    /// Send this broadcast again to the containers that it did not notify (failed, rejected or pending): its id, the beginning of it, or `last`
    ///
    /// Scope and event come from the ledger, and the id stays the same. Tasks are looked up again: a stopped task is gone,
    /// a task with a new address is called there.
    #[arg(
        long,
        value_name = "BROADCAST",
        value_parser = crate::report::id,
        conflicts_with_all = ["cluster", "services", "standalone", "kind", "id", "source", "subject", "event"]
    )]
    pub(crate) failed_of: Option<BroadcastId>,
}

/// Reads a cluster's name or ARN. For the ARN of another resource, ECS would only report a missing cluster.
fn cluster(text: &str) -> Result<String, String> {
    let resource = text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4));
    match resource.and_then(|resource| resource.split('/').next()) {
        Some("cluster") => Ok(text.to_owned()),
        Some(kind @ ("service" | "task")) => {
            Err(format!("this is the ARN of a {kind}: pass its cluster here, and services with --service"))
        }
        Some(_) => Err("this is not the ARN of a cluster".to_owned()),
        None if text.is_empty() => Err("it is empty".to_owned()),
        None => Ok(text.to_owned()),
    }
}

impl AudienceArgs {
    /// The scope; without meaning if `failed_of` is set.
    pub(crate) fn scope(&self) -> ScopeArgs {
        let Self { cluster, services, standalone, .. } = self.clone();
        ScopeArgs { cluster: cluster.unwrap_or_default(), services, standalone }
    }
}

impl ScopeArgs {
    /// The scope without an event.
    pub(crate) fn message(&self) -> ObserverMessage {
        let mut message = ObserverMessage::new(&self.cluster);
        message.services.clone_from(&self.services);
        message.standalone = self.standalone;
        message
    }

    /// The scope in words.
    pub(crate) fn describe(&self) -> String {
        match self.services.as_slice() {
            [] if self.standalone => format!("cluster {} and its standalone tasks", self.cluster),
            [] => format!("cluster {}", self.cluster),
            [one] => format!("service {one} in cluster {}", self.cluster),
            many => format!("services {} in cluster {}", many.join(", "), self.cluster),
        }
    }
}
