//! Whom an event is for.

use clap::Args;
use wire::{BroadcastId, ObserverMessage};

/// Whom an event is for.
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

    /// Also the tasks that no service started
    #[arg(long, conflicts_with = "services")]
    pub(crate) standalone: bool,
}

/// Whom an event is for: a scope, or whoever an earlier broadcast did not tell.
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

    /// Also the tasks that no service started
    #[arg(long, conflicts_with = "services")]
    standalone: bool,

    /// Send this broadcast again to the containers that it did not tell (failed, rejected or pending): its id, the start of the id, or `last`
    ///
    /// The ledger has the scope and the event, and the id stays the same. Tasks are looked up again: one that stopped is gone,
    /// one that moved is called at its new address.
    #[arg(
        long,
        value_name = "BROADCAST",
        value_parser = crate::report::id,
        conflicts_with_all = ["cluster", "services", "standalone", "kind", "id", "source", "subject", "event"]
    )]
    pub(crate) failed_of: Option<BroadcastId>,
}

/// Reads a cluster's name or ARN. The ARN of anything else is a mistake that ECS would only call a missing cluster.
fn cluster(text: &str) -> Result<String, String> {
    let resource = text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4));
    match resource.and_then(|resource| resource.split('/').next()) {
        Some("cluster") => Ok(text.to_owned()),
        Some(kind @ ("service" | "task")) => {
            Err(format!("this is the ARN of a {kind}: name its cluster here, and services with --service"))
        }
        Some(_) => Err("this is the ARN of something else than a cluster".to_owned()),
        None if text.is_empty() => Err("it is empty".to_owned()),
        None => Ok(text.to_owned()),
    }
}

impl AudienceArgs {
    /// The scope; meaningless beside `failed_of`.
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
