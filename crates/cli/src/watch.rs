//! A broadcast in the ledger and the dead letters, read once or until it has ended.

use std::time::Duration;

use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::ledger::{Ledger, Recorded};
use notifier::model::{DeadLetter, StageName};
use notifier::pipeline;
use notifier::pipeline::redrive::{self, Action, Filter};
use notifier::queue::Queue;
use notifier::settings::Settings;
use tokio::time::{Instant, sleep, timeout_at};
use wire::BroadcastId;

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::live::Live;
use crate::progress::Polled;
use crate::stop::Stop;

/// Pause between two reads of a broadcast that has not ended.
const LOOK: Duration = Duration::from_secs(1);
/// The pause is at least this many times as long as the read itself, because reads of a large broadcast are expensive.
const LOOK_SHARE: u32 = 5;
/// Time without a change before the dead letters are read, and between two reads of them.
const QUIET: Duration = Duration::from_secs(10);

/// Reads broadcasts of one ledger.
pub(crate) struct Watch<'a> {
    ledger: &'a Ledger,
    /// The queues whose dead letters may belong to a broadcast.
    queues: Vec<(StageName, Queue)>,
    /// How long a delivery is retried.
    horizon: Duration,
    clock: Clock,
}

/// The state of a broadcast.
pub(crate) struct Seen {
    /// The record in the ledger, with the dead letters.
    pub(crate) recorded: Recorded,
    /// Whether all dead letters of its stages were read.
    pub(crate) is_compared: bool,
    /// Time without a record, if it is so long that no further outcome is expected.
    pub(crate) silence: Option<Duration>,
    /// Whether the wait for its end was interrupted.
    pub(crate) is_interrupted: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(ledger: &'a Ledger, aws: &Aws, settings: &Settings) -> Self {
        let queue = |stage: StageName| {
            let url = settings.queues.get(&stage.stage().source)?;
            Some((stage, Queue::at(aws.sqs.clone(), url, Rng::from_entropy())))
        };
        Self {
            ledger,
            queues: [StageName::Tasks, StageName::Notify].into_iter().filter_map(queue).collect(),
            horizon: settings.delivery.horizon,
            clock: Clock::system(),
        }
    }

    /// Reads the state of a broadcast, after its end if `wait` allows; `None` when the ledger has no record of it.
    pub(crate) async fn see(
        &self,
        broadcast: &BroadcastId,
        wait: Option<Duration>,
        console: &mut Console,
    ) -> Result<Option<Seen>, Failure> {
        let (found, is_interrupted) = match wait {
            None => (self.ledger.read(broadcast).await?, false),
            Some(most) => self.ended(broadcast, most, console).await?,
        };
        let Some(recorded) = found else {
            return if is_interrupted { Err(interrupted_before(broadcast)) } else { Ok(None) };
        };
        let (mut recorded, is_compared) = if is_interrupted {
            (recorded, false)
        } else {
            self.compared(broadcast, recorded, console).await
        };
        let silence = silence(&recorded, &self.clock, self.horizon);
        if silence.is_some() {
            recorded.report = recorded.report.overdue();
        }
        Ok(Some(Seen { recorded, is_compared, silence, is_interrupted }))
    }

    /// Reads the record of a broadcast when nothing more can come, when the time is over, or when the wait was interrupted.
    /// Also returns whether it was interrupted.
    async fn ended(
        &self,
        broadcast: &BroadcastId,
        most: Duration,
        console: &mut Console,
    ) -> Result<(Option<Recorded>, bool), Failure> {
        let mut signals = Stop::listen()?;
        let mut polled = Polled::default();
        let live = Live::watching(console.stderr(), polled.view());
        let mut last = None;
        let ended = tokio::select! {
            ended = self.follow(broadcast, most, &mut polled, &mut last, console) => ended.map(|()| false),
            _ = signals.next() => Ok(true),
        };
        live.finish().await;
        interrupt::leave_at_the_next(signals);
        Ok((last, ended?))
    }

    /// Reads the broadcast again and again until nothing more can come, or the time is over; `last` is the latest record.
    async fn follow(
        &self,
        broadcast: &BroadcastId,
        most: Duration,
        polled: &mut Polled,
        last: &mut Option<Recorded>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let end = Instant::now() + most;
        let (mut state, mut changed) = (None, Instant::now());
        while let Ok(found) = timeout_at(end, self.look(broadcast)).await {
            let (mut found, pause) = found?;
            let now = found.as_ref().map(stand);
            if state.replace(now) != Some(now) {
                changed = Instant::now();
            } else if changed.elapsed() >= QUIET
                && let Some(recorded) = found
            {
                found = Some(self.compared(broadcast, recorded, console).await.0);
                changed = Instant::now();
            }
            polled.show(found.as_ref(), console);
            let is_over = found.as_ref().is_some_and(|found| {
                found.is_complete
                    || found.report.is_interrupted()
                    || silence(found, &self.clock, self.horizon).is_some()
            });
            *last = found;
            if is_over || timeout_at(end, sleep(pause)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Reads the ledger once. Also returns how long to pause after that.
    async fn look(&self, broadcast: &BroadcastId) -> Result<(Option<Recorded>, Duration), Failure> {
        let started = Instant::now();
        let found = self.ledger.read(broadcast).await?;
        Ok((found, LOOK.max(started.elapsed() * LOOK_SHARE)))
    }

    /// Marks pending containers as failed whose messages are dead letters. Also returns whether all dead letters were read.
    async fn compared(
        &self,
        broadcast: &BroadcastId,
        mut recorded: Recorded,
        console: &mut Console,
    ) -> (Recorded, bool) {
        if recorded.is_complete {
            return (recorded, true);
        }
        let mut letters = Vec::new();
        let mut is_whole = self.queues.len() == 2;
        for (stage, queue) in &self.queues {
            match self.dead_letters(*stage, queue, broadcast).await {
                Ok((found, is_cut)) => {
                    letters.extend(found);
                    is_whole &= !is_cut;
                }
                Err(failure) => {
                    is_whole = false;
                    let why = std::iter::once(&failure.message)
                        .chain(&failure.causes)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(": ");
                    let stage = stage.as_str();
                    console.warn(&format!("the dead letters of stage {stage} cannot be read: {why}"));
                }
            }
        }
        recorded.report = recorded.report.with_dead_letters(&letters);
        recorded.is_complete = recorded.broadcast.is_some() && recorded.report.counts().pending == 0;
        (recorded, is_whole)
    }

    /// Reads the broadcast's dead letters of one stage. Also returns whether there may be more.
    async fn dead_letters(
        &self,
        stage: StageName,
        queue: &Queue,
        broadcast: &BroadcastId,
    ) -> Result<(Vec<DeadLetter>, bool), Failure> {
        let filter = Filter { broadcast: Some(broadcast.to_string()), ..Filter::default() };
        // The ledger was read already.
        let none = Ledger::none();
        let read = Box::pin(redrive::run(stage, queue.clone(), &filter, &Action::List, &none)).await?;
        match read.error {
            Some(error) => Err(error.into()),
            None => Ok((read.found.into_iter().map(|found| found.letter).collect(), read.is_cut)),
        }
    }
}

/// The wait for a broadcast was interrupted before the ledger had a record of it.
fn interrupted_before(broadcast: &BroadcastId) -> Failure {
    Failure::unsuccessful("interrupted: the broadcast has not begun").hint(goes_on(broadcast))
}

/// The hint after the wait for a broadcast was interrupted.
pub(crate) fn goes_on(broadcast: &BroadcastId) -> String {
    format!("the broadcast continues; `ecs-task-notifier report {broadcast} --wait` waits for its end")
}

/// The values that change during a broadcast.
fn stand(recorded: &Recorded) -> impl Copy + PartialEq + use<> {
    (recorded.report.counts(), recorded.heard)
}

/// Time without a record of a broadcast that has not ended, if it is too long.
pub(crate) fn silence(recorded: &Recorded, clock: &Clock, horizon: Duration) -> Option<Duration> {
    // Nothing is recorded in a pause between two waves.
    let is_paced = recorded.broadcast.as_ref().is_some_and(|record| record.pace.is_some());
    if is_paced && recorded.stopped.is_none() && recorded.cancelled.is_none() {
        return None;
    }
    let (heard, now) = (recorded.heard.filter(|_| !recorded.is_complete)?, clock.now());
    pipeline::is_overdue(&recorded.report, heard, now, horizon)
        .then(|| Duration::try_from(now - heard).ok())
        .flatten()
}
