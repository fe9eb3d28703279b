//! Logs on stderr.

use notifier::settings::LogFormat;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::args::Progress;
use crate::console::{Console, Stderr};

/// Log level of the dependencies, unless everything is logged: their warnings about sockets and credentials are also in
/// the causes of errors.
const OTHERS: &str = "error";

/// Logs warnings, and more with `--verbose`; in JSON if progress is JSON.
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

/// Logs in this format, from this level.
pub(crate) fn start(console: &Console, format: LogFormat, level: Level) {
    let level = level.as_str().to_lowercase();
    let filter = if console.verbose > 2 {
        EnvFilter::new(level)
    } else {
        EnvFilter::new(format!("{OTHERS},notifier={level},ecs_task_notifier={level}"))
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(console.stderr())
        // The stream drops colours if they are off.
        .with_ansi(true);
    // It fails only if a logger is already set.
    drop(match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    });
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
