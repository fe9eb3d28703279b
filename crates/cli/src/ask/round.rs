//! One round of a question: the fleet is found and asked once.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use notifier::Notifier;
use notifier::aws::Aws;
use notifier::base::Clock;
use notifier::deliver::GRACE_DEFAULT;
use notifier::model::{Cause, Progress};
use notifier::pipeline::ask::{Answered, AskOptions, Asking};
use notifier::pipeline::send::SendError;
use notifier::report::BroadcastState;
use notifier::report::answers::{AnswerLine, Answers, Measured};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, BroadcastId, ObserverMessage};

use super::args::{QuestionArgs, Show};
use crate::args::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::live::{Live, Shared, locked};
use crate::render::{answers, records};
use crate::stop::Stop;
use crate::{context, progress, services};

/// Answers that wait to be written.
const WAITING_MAX: usize = 256;
/// Time for calls in flight to end after an interruption, and for the ledger.
const END_MAX: Duration = Duration::from_secs(10);

/// How a round ended.
pub(super) enum End {
    /// Each container has answered, or its time has ended.
    Whole,
    /// It was interrupted.
    Interrupted,
    /// Only a part of the fleet was found and asked.
    Failed(SendError),
}

/// Asks a fleet, once or several times.
pub(super) struct Asker {
    pub(super) scope: ObserverMessage,
    pub(super) question: QuestionArgs,
    /// The progress of the rounds.
    pub(super) progress: Progress,
    pub(super) signals: Stop,
    stop: CancellationToken,
    /// The state of the current round.
    state: Shared,
    /// Whether the header of a CSV was written.
    has_header: bool,
}

impl Asker {
    pub(super) fn new(
        scope: ObserverMessage,
        question: QuestionArgs,
        stop: CancellationToken,
        signals: Stop,
        console: &Console,
    ) -> Result<Self, Failure> {
        let nothing = BroadcastId::try_from("none".to_owned());
        let nothing = nothing.map_err(|error| Failure::failed("no id").because(&error))?;
        let state = Arc::new(Mutex::new(BroadcastState::new(nothing)));
        let progress = progress::follow(&state, console)?;
        Ok(Self { scope, question, progress, signals, stop, state, has_header: false })
    }

    /// Asks the fleet once, and writes each answer that is to be shown by itself.
    pub(super) async fn ask(
        &mut self,
        notifier: &Notifier,
        aws: &Aws,
        event: Broadcast,
        console: &mut Console,
    ) -> Result<(Arc<Asking>, End), Failure> {
        let (each, answered) = mpsc::channel(WAITING_MAX);
        let is_streamed = self.question.show == Show::Each || console.format != Format::Text;
        let options = AskOptions {
            timeout: self.question.timeout,
            answer_bytes_max: self.question.answer_max,
            keeps_answers: self.question.keep,
            each: is_streamed.then_some(each),
        };
        let asking = Asking::new(event, self.question.query(), options, Clock::system().now());
        let asking = asking.map_err(|error| Failure::usage(error.to_string()).because(&error))?;
        let asking = Arc::new(asking);
        *locked(&self.state) = BroadcastState::new(asking.broadcast().id.clone());
        // Lines on the same terminal would be drawn over.
        let live = (!is_streamed).then(|| {
            Live::sending(console.stderr(), Arc::clone(&self.state), aws.budget.clone(), self.stop.clone())
        });
        let sending = notifier.ask(&self.scope, &asking);
        let ended = ended(Box::pin(sending), &mut self.signals, &self.stop);
        let ended = if is_streamed {
            let id = asking.broadcast().id.clone();
            written(ended, answered, Writer { id: &id, has_header: &mut self.has_header }, console).await?
        } else {
            context::patiently(ended, aws, console).await
        };
        if let Some(live) = live {
            live.finish().await;
        }
        progress::finish(&self.progress).await;
        let end = match ended {
            Some(Ok(())) if self.stop.is_cancelled() => End::Interrupted,
            Some(Ok(())) => End::Whole,
            Some(Err(error @ SendError::Incomplete { .. })) => End::Failed(error),
            Some(Err(error)) => return Err(error.into()),
            None => {
                let report = locked(&self.state).report();
                let pending = report.entries().iter().filter(|entry| entry.outcome.is_none());
                for entry in pending {
                    let mut entry = entry.clone();
                    entry.reason = Some("interrupted before the answer".to_owned());
                    entry.cause = Some(Cause::Interrupted);
                    asking.answers().unanswered(entry);
                }
                End::Interrupted
            }
        };
        Ok((asking, end))
    }

    /// Writes the end of the last round: the groups, and who did not answer.
    pub(super) fn show(
        &mut self,
        asking: &Asking,
        rounds: Option<usize>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let of = asking.answers();
        if console.format == Format::Text {
            let (columns, in_full) = (console.columns(), console.verbose > 0);
            let shown = answers::Shown { show: self.question.show, columns, in_full };
            let text = answers::text(&of, shown);
            return write!(console.out(), "{text}").map_err(Failure::output);
        }
        self.lines(&of, &asking.broadcast().id, console)?;
        let names_tasks = self.question.show == Show::Outliers;
        let summary = of.summary(&asking.broadcast().id, names_tasks, rounds);
        let format = console.format;
        records::end(console.out(), format, &summary).map_err(Failure::output)
    }

    /// Writes the lines of a round that another one follows.
    pub(super) fn show_round(&mut self, asking: &Asking, console: &mut Console) -> Result<(), Failure> {
        if console.format != Format::Text {
            self.lines(&asking.answers(), &asking.broadcast().id, console)?;
            console.finish().map_err(Failure::output)?;
        }
        Ok(())
    }

    /// Writes the lines of the containers that did not answer.
    fn lines(&mut self, of: &Answers, id: &BroadcastId, console: &mut Console) -> Result<(), Failure> {
        let format = console.format;
        let others = of.said_no().into_iter().chain(of.silent());
        let lines = others.map(|other| AnswerLine::of(other, id, None, format == Format::Csv));
        let is_first = !std::mem::replace(&mut self.has_header, true);
        records::part(console.out(), format, lines, is_first).map_err(Failure::output)
    }

    /// An error for services that the scope names and no cluster has.
    pub(super) async fn refuse_unknown(&self, notifier: &Notifier) -> Result<(), Failure> {
        let report = locked(&self.state).report();
        let unknown = services::unknown(report.entries().iter());
        services::refuse_unknown(&unknown, &self.scope, &notifier.ctx().discovery).await
    }
}

/// Waits for a round, and cancels `stop` at the first signal. `None` if it did not end in time after that, or was
/// interrupted again.
async fn ended(
    asking: impl Future<Output = Result<(), SendError>>,
    signals: &mut Stop,
    stop: &CancellationToken,
) -> Option<Result<(), SendError>> {
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        done = &mut asking => return Some(done),
        _ = signals.next() => stop.cancel(),
    }
    tokio::select! {
        done = &mut asking => Some(done),
        _ = signals.next() => None,
        () = sleep(END_MAX.max(GRACE_DEFAULT)) => None,
    }
}

/// Writes answers as lines.
struct Writer<'a> {
    id: &'a BroadcastId,
    has_header: &'a mut bool,
}

/// Time between two flushes of the lines.
const FLUSH: Duration = Duration::from_millis(200);

/// Waits for a round, and writes the answers as they come.
async fn written(
    ended: impl Future<Output = Option<Result<(), SendError>>>,
    mut answered: mpsc::Receiver<Answered>,
    writer: Writer<'_>,
    console: &mut Console,
) -> Result<Option<Result<(), SendError>>, Failure> {
    let mut ended = std::pin::pin!(ended);
    let mut flushed = Instant::now();
    loop {
        let answer = tokio::select! {
            answer = answered.recv() => answer,
            done = &mut ended => {
                while let Ok(answer) = answered.try_recv() {
                    write_one(&answer, writer.id, writer.has_header, console)?;
                }
                return Ok(done);
            }
        };
        let Some(answer) = answer else { return Ok(ended.await) };
        write_one(&answer, writer.id, writer.has_header, console)?;
        if answered.is_empty() || flushed.elapsed() >= FLUSH {
            console.finish().map_err(Failure::output)?;
            flushed = Instant::now();
        }
    }
}

fn write_one(
    Answered { delivery, value, bytes }: &Answered,
    id: &BroadcastId,
    has_header: &mut bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let format = console.format;
    if format == Format::Text {
        let text = answers::each(delivery, value, console.verbose > 0);
        return writeln!(console.out(), "{text}").map_err(Failure::output);
    }
    let measured = Measured { value, bytes: *bytes };
    let line = AnswerLine::of(delivery, id, Some(measured), format == Format::Csv);
    let is_first = !std::mem::replace(has_header, true);
    records::part(console.out(), format, [line], is_first).map_err(Failure::output)
}
