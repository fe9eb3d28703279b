//! Internal parsers of `notifier`, exported only for this crate.

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

/// A cluster in the responses of ECS and EC2: lines of `Operation [status] body`.
pub(crate) fn ecs(bytes: &[u8]) -> String {
    fuzz::discovered(bytes)
}

/// A queue in SQS's responses, and its messages: lines of `Operation [status] body`.
pub(crate) fn sqs(bytes: &[u8]) -> String {
    fuzz::inbox(bytes)
}

/// Responses of the two secret stores: lines of `Operation [status] body`.
pub(crate) fn secret_answers(bytes: &[u8]) -> String {
    fuzz::secrets(bytes)
}

/// A broadcast's items in the ledger: one line `sort-key body` each.
pub(crate) fn ledger_items(bytes: &[u8]) -> String {
    fuzz::recorded(bytes)
}
