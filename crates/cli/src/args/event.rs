//! The event of a broadcast.

use std::path::{Path, PathBuf};

use clap::Args;
use notifier::base::Clock;
use notifier::base::input;
use wire::event::{EVENT_BYTES_MAX, TYPE_DEFAULT};
use wire::{Broadcast, BroadcastId, Data, Draft};

use crate::failure::Failure;

/// The most bytes of an event file: the largest event, and white space around it.
const FILE_BYTES_MAX: u64 = 2 * EVENT_BYTES_MAX as u64;

/// The event of a broadcast.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Event")]
pub(crate) struct EventArgs {
    /// Type of the event [default: com.ecs-task-notifier.notify]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// Id of the event and of the broadcast [default: a new UUID]
    ///
    /// A repeat with the same id is the same broadcast: each task receives the same `webhook-id` again.
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// Source of the event, as a URI reference [default: ecs-task-notifier]
    #[arg(long, value_name = "URI")]
    source: Option<String>,

    /// Subject of the event
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,

    /// Data for the tasks, as JSON
    #[arg(long, value_name = "JSON")]
    data: Option<String>,

    /// Read the whole event, in CloudEvents JSON, from this file; `-` for stdin. Attributes may be missing
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["kind", "id", "source", "subject", "data"]
    )]
    event: Option<PathBuf>,
}

impl EventArgs {
    /// The requested broadcast, complete and valid.
    pub(crate) fn broadcast(&self, clock: &Clock) -> Result<Broadcast, Failure> {
        // A UUID that sorts by time: the ids in a log or a ledger have the order of their broadcasts.
        let id = BroadcastId::try_from(uuid::Uuid::now_v7().to_string());
        let id = id.map_err(|error| Failure::usage("the event has no id").because(&error))?;
        let event = self.draft()?.complete(&id, clock.now());
        let event = event.map_err(|error| Failure::usage(error.to_string()).because(&error))?;
        Ok(Broadcast::new(event))
    }

    /// Whether the type of the event is given, by a flag or in a file.
    pub(crate) fn names_type(&self) -> bool {
        self.kind.is_some() || self.event.is_some()
    }

    /// Only the data, for a broadcast whose other attributes are known.
    pub(crate) fn data(&self) -> Result<Option<Data>, Failure> {
        let data = self.data.as_ref().map(|text| Data::from_json(text.trim().to_owned())).transpose();
        data.map_err(|error| {
            Failure::usage("--data is not JSON")
                .because(&error)
                .hint("a JSON string needs quotes: --data '\"text\"'")
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
        Failure::usage(format!("{name} is not an event")).because(&error).hint(format!(
            "an event looks like {{\"type\": \"{TYPE_DEFAULT}\", \"data\": {{\"any\": \"JSON\"}}}}"
        ))
    })
}
