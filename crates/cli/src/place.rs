//! The account and region of a command, shown before anything is sent.

use std::time::Duration;

use notifier::aws::{Aws, account_of, identity, region_of};
use notifier::base::text::printable;
use wire::ObserverMessage;

use crate::args;
use crate::console::Console;

/// Time limit for the account number, which is only shown.
const ACCOUNT_TIME_MAX: Duration = Duration::from_secs(2);
/// The most characters of an account or region that are shown.
const NAME_CHARS_MAX: usize = 64;

/// ` (account 111122223333, region eu-west-1)`: from the ARN or the queue's URL, else from the credentials. Empty if
/// neither is known. With --quiet, AWS is not asked.
pub(crate) async fn describe(aws: &Aws, named: &str, console: &Console) -> String {
    let account = match account_of(named) {
        Some(account) => Some(account.to_owned()),
        None if console.quiet => None,
        None => identity::account(&aws.sts, ACCOUNT_TIME_MAX).await.ok(),
    };
    let region = region_of(named).or(aws.region.as_deref());
    let part = |what: &str, name: &str| format!("{what} {}", printable(name, NAME_CHARS_MAX));
    let parts = [account.as_deref().map(|it| part("account", it)), region.map(|it| part("region", it))];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// The same for a scope; empty if it has several clusters.
pub(crate) async fn of_scope(aws: &Aws, scope: &ObserverMessage, console: &Console) -> String {
    if args::has_several(scope) { String::new() } else { describe(aws, &scope.cluster, console).await }
}
