//! The three stages as one call, for a terminal or a CI job: no queue stands between them.

use wire::{Broadcast, ObserverMessage};

use crate::discover::DiscoverError;
use crate::fleet::Fleet;
use crate::outcome::{Settled, Skipped};
use crate::progress::Step;
use crate::stage::Ctx;

/// What became of a broadcast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    /// Whom it called, and how that ended.
    pub settled: Vec<Settled>,
    /// Whom it could not call.
    pub skipped: Vec<Skipped>,
}

/// Whom a broadcast to this scope would call now, and whom not and why. Nobody is called.
///
/// # Errors
///
/// [`DiscoverError`] when AWS cannot be asked, or has no such cluster.
pub async fn plan(ctx: &Ctx, scope: &ObserverMessage) -> Result<Fleet, DiscoverError> {
    ctx.discovery.fleet(scope).await
}

/// Calls every endpoint of the scope and waits until each delivery has ended.
///
/// # Errors
///
/// [`DiscoverError`] when the fleet cannot be found; then nobody was called.
pub async fn send(ctx: &Ctx, scope: &ObserverMessage, broadcast: &Broadcast) -> Result<Sent, DiscoverError> {
    let Fleet { endpoints, skips, bystanders } = ctx.discovery.fleet(scope).await?;
    ctx.progress.tell(Step::Services { broadcast: broadcast.id.clone(), parts: 1, bystanders: Vec::new() });
    let skipped: Vec<Skipped> =
        skips.into_iter().map(|skip| Skipped { broadcast: broadcast.id.clone(), skip }).collect();
    for skip in &skipped {
        ctx.progress.tell(Step::Skipped(skip.clone()));
    }
    ctx.progress.tell(Step::Tasks {
        broadcast: broadcast.id.clone(),
        service: String::new(),
        endpoints: endpoints.clone(),
        bystanders,
    });
    let settled = ctx.deliverer.deliver_all(broadcast, endpoints, &ctx.progress).await;
    Ok(Sent { settled, skipped })
}
