//! Logs on stderr.

use notifier::settings::LogFormat;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::args::Progress;
use crate::console::{Console, Talk};

/// What is logged of the crates below, unless everything is: their warnings are about sockets and credentials, and come
/// back as causes where they matter.
const OTHERS: &str = "error";

/// Logs warnings, and more with `--verbose`; as JSON where progress is.
pub(crate) fn for_people(console: &Console) {
    let level = match (console.quiet, console.verbose) {
        (true, _) => Level::ERROR,
        (_, 0) => Level::WARN,
        (_, 1) => Level::INFO,
        _ => Level::DEBUG,
    };
    let format = if console.progress == Progress::Json { LogFormat::Json } else { LogFormat::Text };
    start(console, format, level);
}

/// Logs as the settings say.
pub(crate) fn start(console: &Console, format: LogFormat, level: Level) {
    let level = level.as_str().to_lowercase();
    let filter = if console.verbose > 2 {
        EnvFilter::new(level)
    } else {
        EnvFilter::new(format!("{OTHERS},notifier={level},ecs_task_notifier={level}"))
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(console.talk())
        // What the talk goes to drops colour that is not wanted.
        .with_ansi(true);
    // It fails only where a logger is already there, and then there is one.
    drop(match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    });
}

impl MakeWriter<'_> for Talk {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
