//! A broadcast as the ledger and the dead letters have it, looked at once or until it has ended.

use std::time::Duration;

use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::ledger::{Ledger, Recorded};
use notifier::pipeline::StageName;
use notifier::pipeline::redrive::{self, Action, Filter, SortedLetter};
use notifier::queue::Queue;
use notifier::settings::Settings;
use tokio::time::{Instant, sleep, timeout_at};
use wire::BroadcastId;

use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::live::Live;
use crate::progress::Looks;
use crate::stop::Stop;

/// Between two looks at a broadcast that has not ended; a look that took long is followed by a longer pause.
const LOOK: Duration = Duration::from_secs(1);
/// How many times as long as the look itself the pause is at least: reading a large broadcast again and again costs.
const LOOK_SHARE: u32 = 5;
/// How long nothing must change before the dead letters are looked at, and between two looks at them.
const QUIET: Duration = Duration::from_secs(10);

/// What is looked at.
pub(crate) struct Watch<'a> {
    ledger: &'a Ledger,
    /// The queues whose dead letters may hold messages of a broadcast that began.
    queues: Vec<(StageName, Queue)>,
    /// How long a delivery is tried.
    horizon: Duration,
    clock: Clock,
}

/// How a broadcast stands.
pub(crate) struct Seen {
    /// As the ledger has it, and the dead letters.
    pub(crate) recorded: Recorded,
    /// Whether the dead letters of all its stages were looked at.
    pub(crate) is_compared: bool,
    /// How long nothing was recorded, when that is so long that nothing more is to be expected.
    pub(crate) silence: Option<Duration>,
    /// Whether the wait for its end was interrupted.
    pub(crate) is_interrupted: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(ledger: &'a Ledger, aws: &Aws, settings: &Settings) -> Self {
        let queues =
            [(StageName::Tasks, &settings.queues.services), (StageName::Notify, &settings.queues.tasks)];
        let queue = |(stage, url): (StageName, &Option<String>)| {
            Some((stage, Queue::at(aws.sqs.clone(), url.clone()?, Rng::from_entropy())))
        };
        Self {
            ledger,
            queues: queues.into_iter().filter_map(queue).collect(),
            horizon: settings.delivery.horizon,
            clock: Clock::system(),
        }
    }

    /// How the broadcast stands, when it has ended if `wait` allows; `None` when the ledger has no record of it.
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

    /// What is known of the broadcast when nothing more is to be expected, when the time is over, or when the wait was
    /// interrupted, and whether it was.
    async fn ended(
        &self,
        broadcast: &BroadcastId,
        most: Duration,
        console: &mut Console,
    ) -> Result<(Option<Recorded>, bool), Failure> {
        let mut signals = Stop::listen()?;
        let mut looks = Looks::default();
        let live = Live::watching(console.talk(), looks.view());
        let mut last = None;
        let ended = tokio::select! {
            ended = self.follow(broadcast, most, &mut looks, &mut last, console) => ended.map(|()| false),
            _ = signals.next() => Ok(true),
        };
        live.finish().await;
        interrupt::leave_at_the_next(signals);
        Ok((last, ended?))
    }

    /// Looks at the broadcast again and again until nothing more is to be expected, or the time is over; `last` is the
    /// latest look.
    async fn follow(
        &self,
        broadcast: &BroadcastId,
        most: Duration,
        looks: &mut Looks,
        last: &mut Option<Recorded>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let end = Instant::now() + most;
        let (mut stands, mut changed) = (None, Instant::now());
        while let Ok(found) = timeout_at(end, self.look(broadcast)).await {
            let (mut found, pause) = found?;
            let now = found.as_ref().map(stand);
            if stands.replace(now) != Some(now) {
                changed = Instant::now();
            } else if changed.elapsed() >= QUIET
                && let Some(recorded) = found
            {
                found = Some(self.compared(broadcast, recorded, console).await.0);
                changed = Instant::now();
            }
            looks.tell(found.as_ref(), console);
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

    /// One look at the ledger, and how long to pause after it.
    async fn look(&self, broadcast: &BroadcastId) -> Result<(Option<Recorded>, Duration), Failure> {
        let started = Instant::now();
        let found = self.ledger.read(broadcast).await?;
        Ok((found, LOOK.max(started.elapsed() * LOOK_SHARE)))
    }

    /// Adds what the dead letters say of those who are pending, and whether those of all stages were looked at.
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
            match self.letters(*stage, queue, broadcast).await {
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
                    console.warn(&format!("the dead letters of stage {stage} cannot be looked at: {why}"));
                }
            }
        }
        recorded.report = recorded.report.with_letters(&letters);
        recorded.is_complete = recorded.broadcast.is_some() && recorded.report.counts().pending == 0;
        (recorded, is_whole)
    }

    /// The broadcast's dead letters of one stage, and whether there may be more.
    async fn letters(
        &self,
        stage: StageName,
        queue: &Queue,
        broadcast: &BroadcastId,
    ) -> Result<(Vec<SortedLetter>, bool), Failure> {
        let filter = Filter { broadcast: Some(broadcast.to_string()), ..Filter::default() };
        // The ledger was read already.
        let none = Ledger::none();
        let sorted = Box::pin(redrive::sort(stage, queue.clone(), &filter, &Action::Look, &none)).await?;
        match sorted.error {
            Some(error) => Err(error.into()),
            None => Ok((sorted.found, sorted.is_cut)),
        }
    }
}

/// The wait for a broadcast was interrupted before the ledger had heard of it.
fn interrupted_before(broadcast: &BroadcastId) -> Failure {
    Failure::not_told("interrupted: the broadcast has not begun").hint(goes_on(broadcast))
}

/// What becomes of a broadcast that nobody waits for any more.
pub(crate) fn goes_on(broadcast: &BroadcastId) -> String {
    format!(
        "the broadcast goes on by itself; `ecs-task-notifier report {broadcast} --wait` waits for its end"
    )
}

/// What changes while anything happens.
fn stand(recorded: &Recorded) -> impl Copy + PartialEq + use<> {
    (recorded.report.counts(), recorded.heard)
}

/// How long nothing was recorded of a broadcast that has not ended, when that is too long.
fn silence(recorded: &Recorded, clock: &Clock, horizon: Duration) -> Option<Duration> {
    let (heard, now) = (recorded.heard.filter(|_| !recorded.is_complete)?, clock.now());
    recorded.report.is_overdue(heard, now, horizon).then(|| Duration::try_from(now - heard).ok()).flatten()
}
