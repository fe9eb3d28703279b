//! `publish`: asks the daemon or the Lambda functions for a broadcast.

#![expect(clippy::doc_markdown, reason = "these comments are the help text, where backticks would show")]

use std::io::Write;

use clap::Args;
use notifier::ambient::{Chance, Clock};
use notifier::queue::{Queue, Trace};
use notifier::settings::Environment;
use serde::Serialize;
use wire::{Draft, Message, ObserverMessage};

use crate::args::{EventArgs, ForLedger, Format, Global, ProgressArgs, ScopeArgs, SettingFlags};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::records;
use crate::report::{self, WaitArgs};
use crate::{context, log};

/// Put an event on the observer queue, for the daemon or the Lambda functions to broadcast
///
/// Returns as soon as SQS has the message; its answer is the broadcast's id. With --wait it waits for the end of the
/// broadcast and reports like `report`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    event: EventArgs,
    /// The observer queue, by its URL or its name; else NOTIFIER_OBSERVER_QUEUE_URL
    #[arg(long, visible_alias = "queue-url", value_name = "URL|NAME")]
    queue: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    settings: SettingFlags<ForLedger>,
}

const EXAMPLES: &str = "\
Examples:
  To the queue that NOTIFIER_OBSERVER_QUEUE_URL names:
    ecs-task-notifier publish --cluster prod --type com.example.cache.clear

  To a queue of this name in the account and region:
    ecs-task-notifier publish --cluster prod --queue ecs_service_notification_eu-west-1";

/// What was put on the queue.
#[derive(Debug, Default, Serialize)]
struct Published<'a> {
    broadcast: &'a str,
    /// Id of the SQS message.
    message: &'a str,
    queue: &'a str,
}

pub(crate) async fn run(
    global: &Global,
    args: PublishArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    console.show_progress(args.progress.progress);
    let settings = context::settings(global, &args.settings.flags, &[], environment, console)?;
    let place = args.queue.or_else(|| settings.queues.observer.clone()).ok_or_else(|| {
        Failure::usage("no observer queue is named")
            .hint("name one with --queue, or set NOTIFIER_OBSERVER_QUEUE_URL")
    })?;
    let broadcast = args.event.broadcast(&Clock::system())?;
    let body = message(args.scope.message(), &broadcast)?;
    log::for_people(console);
    let aws = context::aws(global, &settings).await?;
    context::in_region(&aws, "cluster", &args.scope.cluster)?;
    context::in_region(&aws, "queue", &place)?;
    // Before anything is sent: whoever wants to wait must know where to look.
    let ledger = match args.wait.wait {
        Some(_) => Some(context::kept_ledger(&aws, &settings).await?),
        None => None,
    };
    let queue = Queue::open(aws.sqs.clone(), &place, Chance::from_entropy()).await?;
    let message = queue.publish_one(&body, &Trace::default()).await?;
    if let Some(ledger) = ledger {
        console.say(&format!("broadcast {} is on queue {}", broadcast.id, queue.name()));
        return report::conclude(&ledger, &broadcast.id, &args.wait, console).await;
    }
    let published = Published { broadcast: broadcast.id.as_str(), message: &message, queue: queue.url() };
    if console.format == Format::Text {
        let text =
            format!("broadcast {}\nmessage   {message}\nqueue     {}", published.broadcast, queue.url());
        writeln!(console.out(), "{text}").map_err(Failure::output)?;
    } else {
        let summary = serde_json::json!({ "published": 1 });
        let format = console.format;
        records::write(console.out(), format, [published], &summary).map_err(Failure::output)?;
    }
    Ok(Exit::Done)
}

/// The body for the observer queue: the scope, and the whole event.
pub(crate) fn message(scope: ObserverMessage, broadcast: &wire::Broadcast) -> Result<String, Failure> {
    let event = Some(Draft::from(broadcast.event.clone()));
    let body = ObserverMessage { event, ..scope }.to_body();
    body.map_err(|error| Failure::usage("the event cannot be sent").because(&error))
}
