//! The direct form: a process that sends a broadcast, and another one whenever it was killed, interrupted or failed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::pipeline::resend;
use notifier::pipeline::send::{self, SendError};
use notifier::report::Report;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wire::{Broadcast, BroadcastId, Message as _, ObserverMessage};

use crate::lane::Lane;
use crate::run::{EPOCH, Run, Seen, glance};
use crate::world::{Moment, Upset};

/// Runs of one broadcast: more than its troubles and upsets ever need.
const RUNS_MAX: usize = 30;
/// The run of a broadcast from which on nothing goes wrong any more. A ledger that fails every ninth call ends every run.
const CALM_FROM: usize = 8;
/// The most runs that end with containers left to call: three attempts in each are more than the failures of any receiver.
const ROUNDS_MAX: usize = 4;
/// Requests in flight arrive within this time after the end of a process.
const ARRIVES_WITHIN: Duration = Duration::from_millis(200);

/// How one run ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// The process was killed.
    Killed,
    /// It was interrupted before all deliveries had ended.
    Interrupted(Report),
    /// It completed.
    Done(Report),
    /// Only a part of the fleet was found.
    Incomplete(Report),
    /// The broadcast was cancelled before.
    Cancelled,
    /// It was stopped before.
    Stopped,
    /// An error.
    Failed(String),
}

impl Ended {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Interrupted(_) => "interrupted",
            Self::Done(_) => "done",
            Self::Incomplete(_) => "incomplete",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Failed(_) => "failed",
        }
    }

    pub(crate) fn report(&self) -> Option<&Report> {
        match self {
            Self::Interrupted(report) | Self::Done(report) | Self::Incomplete(report) => Some(report),
            Self::Killed | Self::Cancelled | Self::Stopped | Self::Failed(_) => None,
        }
    }
}

/// One run of a broadcast.
#[derive(Debug)]
pub(crate) struct SendRun {
    /// The place of its broadcast.
    pub(crate) broadcast: usize,
    /// Only the containers that were not notified, as the ledger had them.
    pub(crate) is_resend: bool,
    /// The places in the log of the calls that came in meanwhile.
    pub(crate) calls: Range<usize>,
    /// The ledger before it.
    pub(crate) before: Option<Recorded>,
    /// The ledger after it.
    pub(crate) after: Option<Recorded>,
    /// When it was interrupted.
    pub(crate) stopped_at: Option<Duration>,
    pub(crate) ended: Ended,
}

impl SendRun {
    /// One line about it.
    pub(crate) fn shown(&self) -> String {
        let known = |recorded: &Option<Recorded>| {
            recorded.as_ref().map(|recorded| (recorded.is_complete, recorded.report.counts()))
        };
        let (before, after) = (known(&self.before), known(&self.after));
        let how = if self.is_resend { "resend" } else { "send" };
        let (place, ended, calls) = (self.broadcast, self.ended.name(), &self.calls);
        let report = self.ended.report().map(Report::counts);
        let why = if let Ended::Failed(why) = &self.ended { why.as_str() } else { "" };
        format!(
            "{how} of broadcast {place}: {ended}, calls {calls:?}, {report:?}; ledger {before:?}, then {after:?} {why}"
        )
    }
}

/// A process that sends.
struct Process {
    lane: Lane,
    stop: CancellationToken,
    sent: JoinHandle<Result<Report, SendError>>,
}

/// A world of the direct form that runs.
pub(crate) struct Direct {
    pub(crate) run: Run,
    pub(crate) upsets: Vec<(Moment, Upset)>,
    runs: Vec<SendRun>,
}

impl Direct {
    pub(crate) fn new(run: Run) -> Self {
        Self { upsets: run.world.upsets.clone(), run, runs: Vec::new() }
    }

    /// Sends every broadcast as often as it is asked for, each time until it has ended.
    pub(crate) async fn play(mut self) -> Seen {
        self.run.order();
        for place in 0..self.run.world.broadcasts.len() {
            for _ in 0..self.run.world.broadcasts[place].asked {
                self.until_ended(place).await;
            }
        }
        self.look().await
    }

    pub(crate) async fn look(self) -> Seen {
        Seen { runs: self.runs, ..self.run.look().await }
    }

    async fn until_ended(&mut self, place: usize) {
        let mut rounds = 0;
        for number in 1..=RUNS_MAX {
            if number == CALM_FROM {
                self.run.sim.faults().clear();
            }
            let known =
                if number > 1 && self.run.world.resends { self.run.recorded_of(place).await } else { None };
            let known = known.filter(|known| known.broadcast.is_some());
            // In waves, only the failed ones of a broadcast that has ended are called without the others.
            let is_paced = self.run.world.broadcasts[place].pace.is_some();
            let known = known.filter(|known| !is_paced || known.is_complete);
            let is_due = |known: &Recorded| known.report.entries().iter().any(resend::is_due);
            if known.as_ref().is_some_and(|known| known.cancelled.is_none() && !is_due(known)) {
                return;
            }
            match self.once(place, known).await {
                Ended::Cancelled | Ended::Stopped => return,
                Ended::Done(report) => {
                    rounds += 1;
                    // Without a ledger, a run after it would not know of a stop.
                    let is_over = report.stopped().is_some() && !self.run.world.has_ledger();
                    if is_over || rounds == ROUNDS_MAX || !report.entries().iter().any(resend::is_due) {
                        return;
                    }
                }
                _ => {}
            }
            if !self.run.broken.is_empty() {
                return;
            }
        }
        self.run.broken.push(format!("broadcast {place} has not ended in {RUNS_MAX} runs"));
    }

    /// One run: of the containers that `known` has as not notified, or of the whole scope.
    pub(crate) async fn once(&mut self, place: usize, known: Option<Recorded>) -> Ended {
        sleep(ARRIVES_WITHIN).await;
        while let Some(upset) = self.due(|upset| !matches!(upset, Upset::Kill | Upset::Restart)) {
            self.run.disturb(upset).await;
        }
        let before = self.run.recorded_of(place).await;
        let (first, started) = (self.run.sim.received_count(), self.run.drive.passed());
        let is_resend = known.is_some();
        let process = self.start(place, known);
        let mut stopped_at = None;
        let ended = loop {
            let passed = self.run.drive.passed();
            sleep(glance(passed.saturating_sub(started))).await;
            if process.sent.is_finished() {
                break None;
            }
            self.run.go_on().await;
            if passed.saturating_sub(started) > self.run.world.ends_within() {
                self.run
                    .broken
                    .push(format!("a run has not ended after {:?}", passed.saturating_sub(started)));
                break Some(Ended::Killed);
            }
            match self.due(|_| true) {
                Some(Upset::Kill) => break Some(Ended::Killed),
                Some(Upset::Restart) => {
                    process.stop.cancel();
                    stopped_at.get_or_insert(EPOCH + passed);
                }
                Some(upset) => self.run.disturb(upset).await,
                None => {}
            }
        };
        let Process { lane, sent, .. } = process;
        let ended = match ended {
            Some(ended) => {
                sent.abort();
                ended
            }
            None => self.how(sent.await),
        };
        if !matches!(ended, Ended::Killed) {
            // Whatever it still does counts for this run.
            sleep(ARRIVES_WITHIN).await;
        }
        self.run.kill(lane);
        sleep(ARRIVES_WITHIN).await;
        let after = self.run.recorded_of(place).await;
        let calls = first..self.run.sim.received_count();
        let run =
            SendRun { broadcast: place, is_resend, calls, before, after, stopped_at, ended: ended.clone() };
        self.runs.push(run);
        ended
    }

    fn how(&mut self, sent: Result<Result<Report, SendError>, tokio::task::JoinError>) -> Ended {
        match sent {
            Ok(Ok(report)) if report.entries().iter().any(|entry| entry.outcome.is_none()) => {
                Ended::Interrupted(report)
            }
            Ok(Ok(report)) => Ended::Done(report),
            Ok(Err(SendError::Incomplete { report, .. })) => Ended::Incomplete(*report),
            Ok(Err(SendError::Cancelled { .. })) => Ended::Cancelled,
            Ok(Err(SendError::Stopped(_))) => Ended::Stopped,
            Ok(Err(error)) => Ended::Failed(format!("{error:?}")),
            Err(panic) => {
                self.run.broken.push(format!("a run panicked: {panic}"));
                Ended::Killed
            }
        }
    }

    /// The next upset that is due and of this kind.
    fn due(&mut self, is_meant: impl Fn(&Upset) -> bool) -> Option<Upset> {
        let is_due = |(moment, upset): &(Moment, Upset)| is_meant(upset) && self.run.has_come(*moment);
        let place = self.upsets.iter().position(is_due)?;
        Some(self.upsets.remove(place).1)
    }

    fn start(&mut self, place: usize, known: Option<Recorded>) -> Process {
        let run = &mut self.run;
        let lane = run.drive.lane();
        let (ctx, aws) = (run.ctx(run.daemons), run.aws());
        run.daemons += 1;
        let (scope, broadcast) = asked(&run.world.broadcasts[place]);
        let stop = CancellationToken::new();
        let until = stop.clone();
        let sent = lane.handle.spawn(async move {
            let mut ctx = ctx(&aws());
            ctx.stop = until;
            let ctx = Arc::new(ctx);
            let Some((record, known)) = known.and_then(|known| Some((known.broadcast.clone()?, known)))
            else {
                return send::send(&ctx, &scope, &broadcast, None).await;
            };
            let broadcast = record.broadcast().expect("an event without much data");
            resend::send(&ctx, &record, &known, &broadcast).await
        });
        Process { lane, stop, sent }
    }
}

/// What a run is asked for: the same each time.
fn asked(broadcast: &crate::world::Broadcast) -> (ObserverMessage, Broadcast) {
    let mut scope = ObserverMessage::from_body(&broadcast.message()).unwrap();
    let id = BroadcastId::try_from(broadcast.id.clone()).unwrap();
    let time = OffsetDateTime::UNIX_EPOCH + EPOCH;
    let event = scope.event.take().unwrap_or_default().complete(&id, time).unwrap();
    (scope, Broadcast::new(event))
}
