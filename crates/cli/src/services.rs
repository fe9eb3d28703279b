//! Services that a command names and the cluster does not have, usually a typing error.

use std::collections::BTreeSet;

use notifier::base::text;
use notifier::fleet::Discovery;
use notifier::model::{Cause, Delivery};
use wire::ObserverMessage;

use crate::args::has_several;
use crate::failure::Failure;

/// The services that a scope names and that none of its clusters has.
pub(crate) fn unknown<'a>(entries: impl Iterator<Item = &'a Delivery> + Clone) -> Vec<&'a str> {
    let is_unknown = |entry: &&Delivery| entry.cause == Some(Cause::NoSuchService);
    let known = entries.clone().filter(|entry| !is_unknown(entry));
    let known: BTreeSet<&str> = known.map(|entry| entry.member.service.as_str()).collect();
    let unknown = entries.filter(is_unknown).map(|entry| entry.member.service.as_str());
    let mut unknown: Vec<_> = unknown.filter(|service| !known.contains(service)).collect();
    unknown.dedup();
    unknown
}

/// An error for the services that the scope does not have, with the most similar name.
pub(crate) async fn refuse_unknown(
    unknown: &[&str],
    scope: &ObserverMessage,
    discovery: &Discovery,
) -> Result<(), Failure> {
    let Some(first) = unknown.first() else { return Ok(()) };
    let services = unknown.join(", ");
    if has_several(scope) {
        return Err(Failure::usage(format!("none of the clusters has a service {services}"))
            .hint("`aws ecs list-services` lists the services of a cluster"));
    }
    let cluster = scope.cluster.as_str();
    let failure = Failure::usage(format!("cluster {cluster} has no service {services}"));
    // Only for the hint: without permission to list services there is none.
    let names = discovery.service_names(cluster).await.unwrap_or_default();
    Err(match text::near(first, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("`aws ecs list-services` lists them"),
    })
}
