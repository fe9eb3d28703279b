//! Services that a command names and the cluster does not have, usually a typing error.

use notifier::base::text;
use notifier::fleet::Discovery;

use crate::failure::Failure;

/// An error for the services that the cluster does not have, with the most similar name.
pub(crate) async fn refuse_unknown(
    unknown: &[&str],
    cluster: &str,
    discovery: &Discovery,
) -> Result<(), Failure> {
    let Some(first) = unknown.first() else { return Ok(()) };
    let failure = Failure::usage(format!("cluster {cluster} has no service {}", unknown.join(", ")));
    // Only for the hint: without permission to list services there is none.
    let names = discovery.service_names(cluster).await.unwrap_or_default();
    Err(match text::near(first, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("`aws ecs list-services` lists them"),
    })
}
