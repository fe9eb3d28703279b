//! Parsers that are nobody else's business, which `notifier` opens for this crate alone.

use notifier::fuzz;

/// An answer of a task: its status, the value of `Retry-After`, and its text, one a line.
pub(crate) fn answer(bytes: &[u8]) -> String {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    fuzz::answer(line(), line(), line())
}

/// A page of `DescribeInstances`.
pub(crate) fn ec2(bytes: &[u8]) -> String {
    fuzz::ec2_page(bytes)
}

/// A file of settings.
pub(crate) fn settings(bytes: &[u8]) -> String {
    fuzz::settings_file(&String::from_utf8_lossy(bytes))
}

/// A cluster as ECS and EC2 describe it: lines of `Operation [status] body`.
pub(crate) fn ecs(bytes: &[u8]) -> String {
    fuzz::discovered(bytes)
}

/// A queue as SQS describes it, and its messages: lines of `Operation [status] body`.
pub(crate) fn sqs(bytes: &[u8]) -> String {
    fuzz::inbox(bytes)
}

/// What the two keepers of secrets answer: lines of `Operation [status] body`.
pub(crate) fn secret_answers(bytes: &[u8]) -> String {
    fuzz::secrets(bytes)
}

/// A broadcast's items in the ledger: a line `sort-key body` for each.
pub(crate) fn ledger_items(bytes: &[u8]) -> String {
    fuzz::recorded(bytes)
}
