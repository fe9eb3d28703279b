//! What a scope is told.

use std::path::{Path, PathBuf};

use clap::Args;
use notifier::base::Clock;
use notifier::base::input;
use wire::event::{EVENT_BYTES_MAX, TYPE_DEFAULT};
use wire::{Broadcast, BroadcastId, Data, Draft};

use crate::failure::Failure;

/// The most bytes of an event file: what a broadcast may carry, and white space around it.
const FILE_BYTES_MAX: u64 = 2 * EVENT_BYTES_MAX as u64;

/// What a scope is told.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Event")]
pub(crate) struct EventArgs {
    /// What kind of thing happened [default: com.ecs-task-notifier.notify]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// Tells this event from all others; made up when absent
    ///
    /// A broadcast repeated under the same id is the same broadcast: each task receives the same `webhook-id` again.
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// Where it happened, as a URI reference [default: ecs-task-notifier]
    #[arg(long, value_name = "URI")]
    source: Option<String>,

    /// What it happened to
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,

    /// What the tasks are told beyond that, as JSON
    #[arg(long, value_name = "JSON")]
    data: Option<String>,

    /// The whole event in CloudEvents JSON, out of this file; `-` for stdin. Attributes may be missing
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["kind", "id", "source", "subject", "data"]
    )]
    event: Option<PathBuf>,
}

impl EventArgs {
    /// The broadcast that was asked for, complete and valid.
    pub(crate) fn broadcast(&self, clock: &Clock) -> Result<Broadcast, Failure> {
        // Sorted by time, so that ids in a log or a ledger stand in the order of their broadcasts.
        let id = BroadcastId::try_from(uuid::Uuid::now_v7().to_string());
        let id = id.map_err(|error| Failure::usage("the event has no id").because(&error))?;
        let event = self.draft()?.complete(&id, clock.now());
        let event = event.map_err(|error| Failure::usage(error.to_string()).because(&error))?;
        Ok(Broadcast::new(event))
    }

    /// The data alone, for a broadcast whose other attributes are known.
    pub(crate) fn data(&self) -> Result<Option<Data>, Failure> {
        let data = self.data.as_ref().map(|text| Data::from_json(text.trim().to_owned())).transpose();
        data.map_err(|error| {
            Failure::usage("--data is not JSON")
                .because(&error)
                .hint("text needs its own quotes: --data '\"text\"'")
        })
    }

    fn draft(&self) -> Result<Draft, Failure> {
        if let Some(path) = &self.event {
            return file(path);
        }
        let mut draft = Draft::default();
        draft.id.clone_from(&self.id);
        draft.source.clone_from(&self.source);
        draft.kind.clone_from(&self.kind);
        draft.subject.clone_from(&self.subject);
        draft.data = self.data()?;
        Ok(draft)
    }
}

fn file(path: &Path) -> Result<Draft, Failure> {
    let (name, read) = if path == Path::new("-") {
        ("stdin".to_owned(), input::text(std::io::stdin(), FILE_BYTES_MAX))
    } else {
        let read = std::fs::File::open(path).and_then(|file| input::text(file, FILE_BYTES_MAX));
        (path.display().to_string(), read)
    };
    let json =
        read.map_err(|error| Failure::usage(format!("the event in {name} cannot be read")).because(&error))?;
    serde_json::from_str(&json).map_err(|error| {
        Failure::usage(format!("{name} holds no event")).because(&error).hint(format!(
            "an event looks like {{\"type\": \"{TYPE_DEFAULT}\", \"data\": {{\"any\": \"JSON\"}}}}"
        ))
    })
}
