//! The clusters of a scope: by name, or every cluster of an account and region.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt as _};
use wire::ObserverMessage;

use super::Ctx;
use crate::fleet::{CLUSTERS_NAMED_MAX, DiscoveryError};
use crate::model::Fleet;
use crate::model::arn::is_every_cluster;

/// Clusters that one process discovers at a time.
pub(super) const CLUSTERS_AT_ONCE: usize = 8;

/// The clusters that get messages of their own; `None` if the message covers one cluster.
///
/// Several names are not resolved yet: each pattern gets a message too, so that an account that cannot be reached fails alone.
pub(super) async fn named(ctx: &Ctx, scope: &ObserverMessage) -> Result<Option<Vec<String>>, DiscoveryError> {
    check_tags(scope)?;
    if !scope.clusters.is_empty() {
        return Ok(Some(distinct(scope)?));
    }
    if is_every_cluster(&scope.cluster) {
        return Ok(Some(every(ctx, &scope.cluster, &scope.tags).await?));
    }
    Ok(None)
}

/// Checks that a scope with tags names every cluster: a single cluster is not selected by its tags.
fn check_tags(scope: &ObserverMessage) -> Result<(), DiscoveryError> {
    let is_any_pattern =
        std::iter::once(&scope.cluster).chain(&scope.clusters).any(|name| is_every_cluster(name));
    if scope.tags.is_empty() || is_any_pattern { Ok(()) } else { Err(DiscoveryError::TagsOfOneCluster) }
}

/// Every cluster that a pattern and these tags select.
pub(super) async fn every(
    ctx: &Ctx,
    pattern: &str,
    tags: &BTreeMap<String, String>,
) -> Result<Vec<String>, DiscoveryError> {
    let found = ctx.discovery.clusters(pattern, tags).await?;
    if found.is_empty() {
        return Err(DiscoveryError::NoCluster { pattern: pattern.to_owned(), tags: tags.clone() });
    }
    Ok(found)
}

/// The clusters of a scope, each with a scope of its own.
pub(super) enum Resolved {
    /// The scope names one cluster.
    One,
    /// It names several.
    Several {
        /// The clusters.
        scopes: Vec<ObserverMessage>,
        /// The patterns whose clusters cannot be listed.
        failed: Vec<(ObserverMessage, DiscoveryError)>,
    },
}

/// Looks up every cluster of a scope.
pub(super) async fn resolve(ctx: &Ctx, scope: &ObserverMessage) -> Result<Resolved, DiscoveryError> {
    check_tags(scope)?;
    if scope.clusters.is_empty() && !is_every_cluster(&scope.cluster) {
        return Ok(Resolved::One);
    }
    let (mut scopes, mut failed, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for name in distinct(scope)? {
        let names = if is_every_cluster(&name) {
            every(ctx, &name, &scope.tags).await
        } else {
            Ok(vec![name.clone()])
        };
        match names {
            Ok(names) => {
                let new = names.into_iter().filter(|name| seen.insert(name.clone()));
                scopes.extend(new.map(|name| one(scope, &name)));
            }
            Err(error) => failed.push((one(scope, &name), error)),
        }
    }
    Ok(Resolved::Several { scopes, failed })
}

/// The fleet that a broadcast would call.
#[derive(Debug, Default)]
pub struct Plan {
    /// The containers of every cluster that was reached.
    pub fleet: Fleet,
    /// The clusters that cannot be reached, if the scope has several.
    pub unreached: Vec<(String, DiscoveryError)>,
}

/// Finds the fleet of a scope with one cluster or several.
pub(crate) async fn plan(ctx: &Ctx, scope: &ObserverMessage) -> Result<Plan, DiscoveryError> {
    let (scopes, failed) = match resolve(ctx, scope).await? {
        Resolved::One => {
            return Ok(Plan { fleet: ctx.discovery.fleet(scope).await?, ..Plan::default() });
        }
        Resolved::Several { scopes, failed } => (scopes, failed),
    };
    let mut plan = Plan::default();
    plan.unreached.extend(failed.into_iter().map(|(scope, error)| (scope.cluster, error)));
    let fleets: Vec<_> = scopes.iter().map(|scope| ctx.discovery.fleet(scope)).collect();
    let fleets: Vec<_> = stream::iter(fleets).buffered(CLUSTERS_AT_ONCE).collect().await;
    for (scope, fleet) in scopes.into_iter().zip(fleets) {
        match fleet {
            Ok(fleet) => plan.fleet.extend(fleet),
            Err(error) => plan.unreached.push((scope.cluster, error)),
        }
    }
    Ok(plan)
}

/// The scope narrowed to one cluster or pattern of several.
pub(super) fn one(scope: &ObserverMessage, cluster: &str) -> ObserverMessage {
    let mut one = ObserverMessage::new(cluster);
    one.services.clone_from(&scope.services);
    (one.standalone, one.split) = (scope.standalone, true);
    (one.cover, one.retain) = (scope.cover, scope.retain.clone());
    one.pace.clone_from(&scope.pace);
    if is_every_cluster(cluster) {
        one.tags.clone_from(&scope.tags);
    }
    one
}

/// The names and patterns of a scope, each once, in order.
pub(super) fn distinct(scope: &ObserverMessage) -> Result<Vec<String>, DiscoveryError> {
    let named = scope.clusters.len() + 1;
    if named > CLUSTERS_NAMED_MAX {
        return Err(DiscoveryError::TooManyClusters { named });
    }
    let mut seen = HashSet::new();
    let all = std::iter::once(&scope.cluster).chain(&scope.clusters);
    Ok(all.filter(|cluster| seen.insert(cluster.as_str())).cloned().collect())
}
