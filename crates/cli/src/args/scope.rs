//! The scope of a broadcast.

use clap::Args;
use notifier::aws::region_of;
use notifier::model::arn::is_every_cluster;
use wire::{BroadcastId, ObserverMessage};

use crate::failure::Failure;

/// The scope of a broadcast.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct ScopeArgs {
    /// The cluster: its name or ARN, also of another account or region; repeat it for more
    #[arg(
        short,
        long = "cluster",
        value_name = "NAME",
        required_unless_present = "all_clusters",
        value_parser = cluster
    )]
    clusters: Vec<String>,

    #[command(flatten)]
    within: WithinArgs,
}

/// Which clusters, services and tasks of a scope.
#[derive(Clone, Debug, Args)]
pub(crate) struct WithinArgs {
    /// Every active cluster of the account and region
    ///
    /// For every cluster of another account or region: --cluster 'arn:aws:ecs:REGION:ACCOUNT:cluster/*'.
    #[arg(long, conflicts_with = "clusters")]
    all_clusters: bool,

    /// Of every cluster, only those with this tag; repeat it for clusters that have all of them
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,

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
}

/// The recipients of an event: a scope, or the containers that an earlier broadcast did not notify.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct AudienceArgs {
    /// The cluster: its name or ARN, also of another account or region; repeat it for more
    #[arg(
        short,
        long = "cluster",
        value_name = "NAME",
        required_unless_present_any = ["all_clusters", "failed_of"],
        value_parser = cluster
    )]
    clusters: Vec<String>,

    #[command(flatten)]
    within: WithinArgs,

    /// Send this broadcast again to the containers that it did not notify (failed, rejected or pending): its id, the beginning of it, or `last`
    ///
    /// Scope and event come from the ledger, and the id stays the same. Tasks are looked up again: a stopped task is gone,
    /// a task with a new address is called there.
    #[arg(
        long,
        value_name = "BROADCAST",
        value_parser = id,
        conflicts_with_all = [
            "clusters", "all_clusters", "tags", "services", "standalone", "kind", "id", "source", "subject", "event"
        ]
    )]
    pub(crate) failed_of: Option<BroadcastId>,
}

/// Reads the id of a broadcast, or the beginning of one.
pub(crate) fn id(text: &str) -> Result<BroadcastId, String> {
    BroadcastId::try_from(text.to_owned()).map_err(|error| error.to_string())
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

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

impl AudienceArgs {
    /// The scope; without meaning if `failed_of` is set.
    pub(crate) fn scope(&self) -> Result<ObserverMessage, Failure> {
        let Self { clusters, within, .. } = self.clone();
        ScopeArgs { clusters, within }.message()
    }
}

impl ScopeArgs {
    /// The scope without an event.
    pub(crate) fn message(&self) -> Result<ObserverMessage, Failure> {
        let WithinArgs { all_clusters, tags, services, standalone } = &self.within;
        let mut named = self.clusters.iter();
        let first = if *all_clusters { None } else { named.next() };
        let mut scope = ObserverMessage::new(first.map_or(ObserverMessage::EVERY_CLUSTER, String::as_str));
        scope.clusters = named.cloned().collect();
        scope.tags = tags.iter().cloned().collect();
        scope.services.clone_from(services);
        scope.standalone = *standalone;
        if !tags.is_empty() && !clusters(&scope).any(is_every_cluster) {
            return Err(Failure::usage(
                "--tag selects among every cluster, but only single clusters are named",
            )
            .hint("use --all-clusters instead of --cluster"));
        }
        if has_several(&scope) && services.iter().any(|service| service.starts_with("arn:")) {
            return Err(Failure::usage("the ARN of a service is in one cluster, but the scope has several")
                .hint("name the service by its name"));
        }
        Ok(scope)
    }
}

/// The clusters and patterns that a scope names.
pub(crate) fn clusters(scope: &ObserverMessage) -> impl Iterator<Item = &str> {
    std::iter::once(&scope.cluster).chain(&scope.clusters).map(String::as_str)
}

/// Whether a scope has several clusters.
pub(crate) fn has_several(scope: &ObserverMessage) -> bool {
    !scope.clusters.is_empty() || is_every_cluster(&scope.cluster)
}

/// The region of the scope, if it has one cluster: of its ARN, else `home`.
pub(crate) fn region<'a>(scope: &'a ObserverMessage, home: Option<&'a str>) -> Option<&'a str> {
    if has_several(scope) { None } else { region_of(&scope.cluster).or(home) }
}

/// The clusters of a scope in words.
pub(crate) fn describe_clusters(scope: &ObserverMessage) -> String {
    let tags: Vec<_> = scope.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let with = if tags.is_empty() { String::new() } else { format!(" with {}", tags.join(" and ")) };
    match (scope.clusters.as_slice(), scope.cluster.as_str()) {
        ([], ObserverMessage::EVERY_CLUSTER) => format!("every cluster{with}"),
        ([], pattern) if is_every_cluster(pattern) => format!("every cluster of {pattern}{with}"),
        ([], one) => format!("cluster {one}"),
        _ => format!("clusters {}{with}", clusters(scope).collect::<Vec<_>>().join(", ")),
    }
}

/// A scope in words.
pub(crate) fn describe(scope: &ObserverMessage) -> String {
    let clusters = describe_clusters(scope);
    match scope.services.as_slice() {
        [] if scope.standalone && has_several(scope) => format!("{clusters} and their standalone tasks"),
        [] if scope.standalone => format!("{clusters} and its standalone tasks"),
        [] => clusters,
        [one] => format!("service {one} in {clusters}"),
        many => format!("services {} in {clusters}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_described_by_its_clusters_services_and_tags() {
        let scope = |clusters: &[&str], services: &[&str]| {
            let mut scope = ObserverMessage::new(clusters[0]);
            scope.clusters = clusters[1..].iter().map(|&name| name.to_owned()).collect();
            scope.services = services.iter().map(|&name| name.to_owned()).collect();
            scope
        };
        assert_eq!(describe(&scope(&["prod"], &[])), "cluster prod");
        assert_eq!(describe(&scope(&["prod"], &["a", "b"])), "services a, b in cluster prod");
        assert_eq!(describe(&scope(&["prod", "test"], &["a"])), "service a in clusters prod, test");
        let mut tagged = scope(&["*"], &[]);
        tagged.tags.insert("team".to_owned(), "shop".to_owned());
        tagged.standalone = true;
        assert_eq!(describe(&tagged), "every cluster with team=shop and their standalone tasks");
    }
}
