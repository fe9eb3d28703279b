//! The waves of a broadcast in one process: hands each over in its turn, and decides after each.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::info;
use wire::{BroadcastId, DeliveryId, Pace};

use super::discover::Recipients;
use crate::base::fnv1a;
use crate::deliver::DeliveryJob;
use crate::ledger::LedgerError;
use crate::model::{Delivery, Fleet, Member, Outcome, ProgressEvent};
use crate::pipeline::{ALARMS_KEPT, Ctx};
use crate::rollout::{
    self, Alarms, Decision, Errors, Gate, Halt, PaceError, Pause, Placed, Plan, Stopped, Tasks,
};

/// How often the ledger is asked whether somebody has cancelled or continued the broadcast.
const LEDGER_POLL: Duration = Duration::from_secs(1);

/// The waves of one broadcast, and what they have come to.
#[derive(Debug)]
pub(in crate::pipeline) struct Waves {
    pub(super) plan: Plan,
    state: Mutex<State>,
    /// A delivery has ended.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// The deliveries of waves that have not begun.
    staged: BTreeMap<u16, Vec<DeliveryJob>>,
    /// The wave that was handed over last.
    wave: u16,
    /// The last wave that an earlier run of the broadcast has begun; 0 if none.
    begun: u16,
    /// The broadcast was cancelled.
    is_cancelled: bool,
    counts: BTreeMap<u16, Counts>,
    /// Deliveries under way, by service.
    running: HashMap<Service, usize>,
    /// Time of the last outcome.
    last: Instant,
    stopped: Option<Stopped>,
}

/// Cluster and service.
type Service = (String, String);

/// The deliveries of one wave.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    ended: usize,
    errors: usize,
    skipped: usize,
}

impl Waves {
    /// The waves that a scope asks for; `None` if every task is called at once.
    ///
    /// # Errors
    ///
    /// If the pace is not valid, or needs a ledger that is not there.
    pub(super) fn of(ctx: &Ctx, pace: Option<&Pace>, is_open: bool) -> Result<Option<Self>, PaceError> {
        let Some(pace) = pace else { return Ok(None) };
        let plan = Plan::read(pace)?;
        if is_open {
            return Err(PaceError::Late);
        }
        if plan.pause == Pause::Manual && !ctx.ledger.is_kept() {
            return Err(PaceError::NoLedgerForManual);
        }
        let state = State {
            staged: BTreeMap::new(),
            wave: 0,
            begun: 0,
            is_cancelled: false,
            counts: BTreeMap::new(),
            running: HashMap::new(),
            last: Instant::now(),
            stopped: None,
        };
        Ok(Some(Self { plan, state: Mutex::new(state), changed: Notify::new() }))
    }

    /// The wave of each task of a fleet.
    pub(super) fn of_tasks(&self, broadcast: &BroadcastId, fleet: &Fleet) -> Tasks {
        rollout::waves(&self.plan, broadcast, fleet.endpoints.iter().map(Placed::from))
    }

    /// Nothing is left half-written by a panic: each change is complete before the next call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what an earlier run of the broadcast has come to with this container.
    pub(super) fn resume(&self, wave: u16, earlier: &Delivery) {
        let mut state = self.state();
        if earlier.is_notified() {
            let counts = state.counts.entry(wave).or_default();
            (counts.all, counts.ended) = (counts.all + 1, counts.ended + 1);
        }
        let has_ended = earlier.outcome.is_some_and(|outcome| outcome != Outcome::Skipped);
        if has_ended || earlier.requests() > 0 {
            state.begun = state.begun.max(wave);
        }
    }

    /// Keeps a delivery for its wave.
    pub(super) fn stage(&self, job: DeliveryJob) {
        let mut state = self.state();
        let wave = job.endpoint().wave.unwrap_or(1);
        state.counts.entry(wave).or_default().all += 1;
        state.staged.entry(wave).or_default().push(job);
    }

    /// Takes note of the end of a delivery.
    pub(super) fn settled(&self, delivery: &Delivery) {
        let mut state = self.state();
        let counts = state.counts.entry(delivery.wave.unwrap_or(1)).or_default();
        counts.ended += 1;
        counts.skipped += usize::from(delivery.outcome == Some(Outcome::Skipped));
        counts.errors += usize::from(matches!(delivery.outcome, Some(Outcome::Failed | Outcome::Rejected)));
        if let Some(running) = state.running.get_mut(&service(&delivery.member)) {
            *running = running.saturating_sub(1);
        }
        state.last = Instant::now();
        // At once: no delivery begins after the one that exceeds the limit.
        if state.stopped.is_none()
            && let Some(halt) = self.plan.exceeded(state.errors())
        {
            state.stopped = Some(Stopped::at(state.wave, &halt));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Where and why it was stopped.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        self.state().stopped.clone()
    }

    /// The delivery as skipped, if the broadcast was stopped before its first call.
    pub(super) fn withheld(&self, job: &DeliveryJob) -> Option<Delivery> {
        let is_withheld = self.state().stopped.is_some() && job.pending().requests() == 0;
        is_withheld.then(|| Delivery::from(job.endpoint()).withheld())
    }

    /// Hands the waves over, each after the end of the one before and the pause. After a stop, the rest is handed over at
    /// once: it is not called, and each delivery gets its outcome.
    ///
    /// After the waves of an earlier run, which may have been killed in their pause, the whole pause passes again.
    pub(super) async fn release(&self, to: Recipients<'_>) -> Result<(), LedgerError> {
        let mut staged = std::mem::take(&mut self.state().staged);
        let begun = self.state().begun;
        if let Some(&first) = staged.keys().next() {
            if (1..first).contains(&begun) {
                self.state().wave = begun;
                self.pass_gate(to, begun, Some(first)).await?;
            } else if let Some(halt) = self.alarms(to.ctx).await.halt() {
                self.stop(to, begun, &halt).await?;
            }
        }
        while let Some((wave, jobs)) = staged.pop_first() {
            let is_over = self.is_over(to);
            if !is_over {
                self.state().wave = wave;
                self.announce(to, wave, jobs.len());
            }
            self.hand_over(to, jobs).await?;
            if !is_over {
                let next = staged.keys().next().copied();
                let gate = if next.is_some_and(|next| next > begun) { wave.max(begun) } else { wave };
                self.pass_gate(to, gate, next).await?;
            }
        }
        Ok(())
    }

    /// Whether no delivery begins any more.
    fn is_over(&self, to: Recipients<'_>) -> bool {
        let state = self.state();
        state.stopped.is_some()
            || state.is_cancelled
            || to.ctx.stop.is_cancelled()
            || to.transport.is_closed()
    }

    fn announce(&self, to: Recipients<'_>, wave: u16, containers: usize) {
        let last = self.state().counts.keys().next_back().copied().unwrap_or_default();
        let (broadcast, trace) = (to.broadcast.id.clone(), Some(to.trace.trace));
        let waves = self.plan.waves().max(last);
        info!(broadcast = broadcast.as_str(), wave, waves, containers, "Wave {wave} of {waves} begins");
        to.ctx.progress.emit(ProgressEvent::Wave { broadcast, trace, wave, waves, containers });
    }

    /// Hands the deliveries of a wave over: of each service as many at once as allowed, spread over the jitter.
    async fn hand_over(&self, to: Recipients<'_>, jobs: Vec<DeliveryJob>) -> Result<(), LedgerError> {
        let mut services = self.by_service(to, jobs);
        loop {
            if to.ctx.ledger.is_cancelled(&to.broadcast.id).await? {
                self.state().is_cancelled = true;
            }
            let is_over = || self.is_over(to);
            let mut due = None;
            for (service, queue) in &mut services {
                while let Some(&(at, _)) = queue.front() {
                    if !is_over() && at > Instant::now() {
                        due = due.into_iter().chain([at]).min();
                        break;
                    }
                    if !is_over() && !self.has_room(service) {
                        break;
                    }
                    if let Some((_, job)) = queue.pop_front() {
                        *self.state().running.entry(service.clone()).or_default() += 1;
                        to.transport.hand_over(job).await?;
                    }
                }
            }
            services.retain(|_, queue| !queue.is_empty());
            if services.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = wait_until(due), if due.is_some() => {}
                () = sleep(LEDGER_POLL), if to.ctx.ledger.is_kept() => {}
                () = to.ctx.stop.cancelled() => {}
                () = to.transport.closed() => {}
            }
        }
    }

    fn has_room(&self, service: &Service) -> bool {
        let Some(most) = self.plan.max_parallel else { return true };
        self.state().running.get(service).is_none_or(|running| *running < most.get())
    }

    /// The deliveries of each service, in the order in which they are due.
    fn by_service(
        &self,
        to: Recipients<'_>,
        jobs: Vec<DeliveryJob>,
    ) -> BTreeMap<Service, VecDeque<(Instant, DeliveryJob)>> {
        let begin = Instant::now();
        let mut services = BTreeMap::<Service, Vec<(Instant, DeliveryJob)>>::new();
        for job in jobs {
            let member = &job.endpoint().member;
            let id = DeliveryId::derive(&to.broadcast.id, &member.task, &member.container);
            let point = f64::from(fnv1a(id.as_str())) / f64::from(u32::MAX);
            let due = begin + self.plan.jitter.mul_f64(point);
            services.entry(service(member)).or_default().push((due, job));
        }
        let in_order = |(service, mut jobs): (Service, Vec<(Instant, DeliveryJob)>)| {
            jobs.sort_by_key(|(due, _)| *due);
            (service, jobs.into())
        };
        services.into_iter().map(in_order).collect()
    }

    /// Waits at the gate after a wave until the next one may begin, or the broadcast is stopped.
    async fn pass_gate(&self, to: Recipients<'_>, wave: u16, next: Option<u16>) -> Result<(), LedgerError> {
        let Recipients { ctx, broadcast, .. } = to;
        loop {
            // After a failure of the ledger, no delivery of the wave ends.
            if ctx.stop.is_cancelled() || to.transport.is_closed() {
                return Ok(());
            }
            let is_cancelled = ctx.ledger.is_cancelled(&broadcast.id).await?;
            let mut gate = self.state().gate(wave, next, is_cancelled);
            // An earlier run has begun the next wave: that pause is over, and nobody could end it once more.
            let is_over = next.is_some_and(|next| next <= self.state().begun);
            gate.is_continued = gate.unsettled == 0
                && next.is_some()
                && (is_over || ctx.ledger.is_continued(&broadcast.id, wave).await?);
            let asks_alarms = self.plan.asks_alarms(&gate);
            if asks_alarms {
                gate.alarms = self.alarms(ctx).await;
            }
            let wait = match self.plan.decide(&gate) {
                Decision::Next(_) | Decision::Done => return Ok(()),
                Decision::Stop(_) if is_cancelled => {
                    self.state().is_cancelled = true;
                    return Ok(());
                }
                Decision::Stop(halt) => return self.stop(to, wave, &halt).await,
                Decision::Wait(wait) => wait,
            };
            let poll = ctx.ledger.is_kept().then_some(LEDGER_POLL);
            let alarms = asks_alarms.then_some(ALARMS_KEPT);
            let wait = wait.into_iter().chain(poll).chain(alarms).min();
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = ctx.stop.cancelled() => {}
                () = to.transport.closed() => {}
            }
        }
    }

    /// Records why no further delivery begins, after this wave.
    async fn stop(&self, to: Recipients<'_>, wave: u16, halt: &Halt) -> Result<(), LedgerError> {
        let stopped = to.ctx.ledger.stop(&to.broadcast.id, Stopped::at(wave, halt)).await?;
        let (broadcast, reason) = (to.broadcast.id.as_str(), stopped.reason.as_str());
        info!(broadcast, wave, reason, "Stopped {}", stopped.place());
        self.state().stopped = Some(stopped);
        Ok(())
    }

    /// What the alarms of the pace say. An interrupted broadcast does not wait for them.
    async fn alarms(&self, ctx: &Ctx) -> Alarms {
        tokio::select! {
            alarms = ctx.alarms.read(&self.plan.stop_on_alarm) => alarms,
            () = ctx.stop.cancelled() => Alarms::Quiet,
        }
    }
}

impl State {
    fn errors(&self) -> Errors {
        let wave = self.counts.get(&self.wave).copied().unwrap_or_default();
        let all = self.counts.values().map(|counts| counts.errors).sum();
        Errors { all, wave: wave.errors, called: wave.all - wave.skipped.min(wave.all) }
    }

    fn gate(&self, wave: u16, next: Option<u16>, is_cancelled: bool) -> Gate {
        let unsettled = |counts: &Counts| counts.all - counts.ended.min(counts.all);
        Gate {
            wave,
            next,
            unsettled: self.counts.range(..=wave).map(|(_, counts)| unsettled(counts)).sum(),
            quiet: self.last.elapsed(),
            errors: self.errors(),
            is_continued: false,
            is_cancelled,
            alarms: Alarms::Quiet,
        }
    }
}

fn service(member: &Member) -> Service {
    (member.cluster.clone(), member.service.clone())
}

async fn wait_until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}
