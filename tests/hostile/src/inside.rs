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
