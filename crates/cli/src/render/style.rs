//! Styles. Output is clear without them: a stream without colours drops them.

use anstyle::{AnsiColor, Style};
use notifier::model::Outcome;

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const UNSURE: Style = AnsiColor::Yellow.on_default();
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The style of an outcome; `None` is pending.
pub(crate) fn of(outcome: Option<Outcome>) -> Style {
    match outcome {
        Some(Outcome::Delivered) => GOOD,
        Some(Outcome::Rejected | Outcome::Failed) => BAD,
        Some(Outcome::Skipped) | None => UNSURE,
        Some(Outcome::Gone) => DIM,
    }
}
