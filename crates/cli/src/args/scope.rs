//! Whom an event is for.

use clap::Args;
use wire::ObserverMessage;

/// Whom an event is for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct ScopeArgs {
    /// The cluster: its name or ARN
    #[arg(short, long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
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

impl ScopeArgs {
    /// The scope without an event.
    pub(crate) fn message(&self) -> ObserverMessage {
        let Self { cluster, services, standalone } = self.clone();
        ObserverMessage { cluster, services, standalone, event: None }
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
