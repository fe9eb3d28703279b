//! The clusters of a broadcast, side by side.

use futures_util::stream::{self, StreamExt as _};
use wire::ObserverMessage;

use super::SendError;
use super::discover::{Discovery, Recipients};
use crate::base::text::chain;
use crate::fleet::DiscoveryError;
use crate::ledger::BroadcastRecord;
use crate::model::Delivery;
use crate::pipeline::clusters::CLUSTERS_AT_ONCE;

/// Discovers several clusters. One that cannot be reached is reported, and does not stop the others. `failed` are patterns
/// whose clusters could not be listed.
///
/// Returns the first error of a cluster.
///
/// # Errors
///
/// If the ledger cannot be used, or no cluster could be reached.
pub(super) async fn discover(
    to: Recipients<'_>,
    record: &BroadcastRecord,
    scopes: Vec<ObserverMessage>,
    failed: Vec<(ObserverMessage, DiscoveryError)>,
) -> Result<Option<DiscoveryError>, SendError> {
    let named = scopes.iter().chain(failed.iter().map(|(scope, _)| scope));
    let named: Vec<_> = named.map(|scope| scope.cluster.clone()).collect();
    to.ctx.ledger.split(record.clone(), &named).await?;
    let clusters = scopes.len();
    let discoveries: Vec<_> = scopes.into_iter().map(|scope| one(to, record, scope)).collect();
    let ended: Vec<_> = stream::iter(discoveries).buffer_unordered(CLUSTERS_AT_ONCE).collect().await;
    let mut unreached = failed;
    let mut first = None;
    for ended in ended {
        match ended? {
            End::Whole => {}
            End::Incomplete(error) => drop(first.get_or_insert(error)),
            End::Unreached(scope, error) => unreached.push((*scope, error)),
        }
    }
    let is_any_reached = unreached.len() < named.len() && clusters > 0;
    for (scope, error) in unreached {
        if is_any_reached {
            report(to, record, &scope, &error).await?;
        }
        first.get_or_insert(error);
    }
    match first {
        Some(error) if !is_any_reached => Err(error.into()),
        first => Ok(first),
    }
}

/// How the discovery of one cluster ended.
enum End {
    /// All of it was found.
    Whole,
    /// A part of it was found and called; the rest is reported.
    Incomplete(DiscoveryError),
    /// None of it was found.
    Unreached(Box<ObserverMessage>, DiscoveryError),
}

async fn one(to: Recipients<'_>, record: &BroadcastRecord, scope: ObserverMessage) -> Result<End, SendError> {
    match Discovery::new(to, &scope, record.of_cluster(&scope.cluster)).run().await {
        Ok(None) => Ok(End::Whole),
        Ok(Some(error)) => Ok(End::Incomplete(error)),
        Err(SendError::Discover(error)) => Ok(End::Unreached(Box::new(scope), error)),
        Err(error) => Err(error),
    }
}

/// Records and reports a cluster that could not be reached.
async fn report(
    to: Recipients<'_>,
    record: &BroadcastRecord,
    scope: &ObserverMessage,
    error: &DiscoveryError,
) -> Result<(), SendError> {
    let reason = chain(error);
    to.transport.done(Delivery::not_discovered(&scope.cluster, "", &reason));
    let record = BroadcastRecord { failure: Some(reason), ..record.of_cluster(&scope.cluster) };
    Ok(to.ctx.ledger.broadcast(record, &[], &[]).await?)
}
