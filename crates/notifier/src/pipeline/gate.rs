//! Waves through the queues: the message that waits between two waves of a part, and hands over the next one.
//!
//! Everything is derived from the ledger, so the same gate twice, at once or after a crash, decides alike. A wave is on the
//! tasks queue, and recorded as queued, before the next gate is.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::future::try_join_all;
use tracing::info;
use wire::{Broadcast, DeliveryId, GateMessage, Message as _, ObserverMessage, PartMessage, Share};

use super::{ALARMS_KEPT, Ctx, Output, StageError, endpoint, part};
use crate::base::trace::TraceContext;
use crate::ledger::{PartRecord, Progressed};
use crate::model::{Delivery, Fleet, Outcome, ProgressEvent};
use crate::queue::Delayed;
use crate::queue::limits::DELAY_MAX;
use crate::rollout::{self, Alarms, Decision, Errors, Gate, Halt, PaceError, Placed, Plan, Stopped};

/// The shortest wait until a gate is asked again.
const POLL_MIN: Duration = Duration::from_secs(1);
/// The longest, while a wave has not ended or somebody has to continue.
const POLL_MAX: Duration = Duration::from_secs(60);
/// The wait is this share of the time so far.
const POLL_SHARE: u32 = 8;

/// Checks the pace of a message.
pub(super) fn check(ctx: &Ctx, message: &ObserverMessage) -> Result<(), PaceError> {
    let Some(pace) = &message.pace else { return Ok(()) };
    Plan::read(pace)?;
    if !ctx.ledger.is_kept() {
        return Err(PaceError::NoLedger);
    }
    if message.cover.is_some() || message.retain.is_some() {
        return Err(PaceError::Late);
    }
    match (&pace.max_parallel, &pace.jitter) {
        (Some(_), _) => Err(PaceError::OneProcess("max_parallel")),
        (None, Some(_)) => Err(PaceError::OneProcess("jitter")),
        (None, None) => Ok(()),
    }
}

/// The messages of stage 1, each before its first wave.
///
/// A service has one gate, whatever its pairs of labels: its waves have shares of all its tasks, and all containers of a
/// task are in one wave. Its part keeps its id when the labels change.
pub(super) fn closed(message: &ObserverMessage, parts: Vec<PartMessage>) -> Vec<PartMessage> {
    let Some(pace) = &message.pace else { return parts };
    let mut services = BTreeSet::new();
    let close = |part| match part {
        PartMessage::Service(mut part) => {
            (part.share, part.port, part.path) = (Share::All, String::new(), String::new());
            let is_first = services.insert((part.service.clone(), part.standalone));
            is_first.then(|| PartMessage::Gate(Box::new(GateMessage::new(0, part, pace.clone()))))
        }
        other => Some(other),
    };
    parts.into_iter().filter_map(close).collect()
}

/// One gate, as a stage has received it.
pub(super) struct Passage<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) gate: &'a GateMessage,
    pub(super) broadcast: &'a Broadcast,
    pub(super) trace: TraceContext,
    pub(super) record: PartRecord,
}

impl Passage<'_> {
    /// Decides what follows, and returns the deliveries of the next wave and the next gate.
    pub(super) async fn pass(self) -> Result<Output, StageError> {
        let Self { ctx, gate, broadcast, .. } = &self;
        let plan = Plan::read(&gate.pace)?;
        if ctx.ledger.stopped(&broadcast.id).await?.is_some() {
            return self.withhold().await;
        }
        if gate.gate == 0 {
            return match ctx.alarms.read(&plan.stop_on_alarm).await.halt() {
                Some(halt) => self.stop(&halt).await,
                None => self.hand_over(&plan, None).await,
            };
        }
        let rows = ctx.ledger.progressed(&broadcast.id, &self.record.id, gate.gate).await?;
        let own = errors(rows.iter().map(Progressed::latest), gate.gate);
        let known = self.known(&rows).await?;
        let mut known = Gate { errors: own, ..known };
        if let Decision::Next(_) | Decision::Done = plan.decide(&known) {
            // What counts is the whole broadcast, and only now is it worth reading.
            let recorded = ctx.ledger.read(&broadcast.id).await?;
            let entries = recorded.iter().flat_map(|recorded| recorded.report.entries());
            known.errors = errors(entries, gate.gate);
        }
        if plan.asks_alarms(&known) {
            known.alarms = ctx.alarms.read(&plan.stop_on_alarm).await;
        }
        match plan.decide(&known) {
            Decision::Done => Ok(Output { trace: Some(self.trace), ..Output::default() }),
            Decision::Next(wave) => self.hand_over(&plan, Some(wave)).await,
            Decision::Wait(left) => self.wait(&plan, left),
            Decision::Stop(halt) => self.stop(&halt).await,
        }
    }

    /// Stops the broadcast for all its parts.
    async fn stop(&self, halt: &Halt) -> Result<Output, StageError> {
        let Self { ctx, gate, broadcast, .. } = self;
        let stopped = ctx.ledger.stop(&broadcast.id, Stopped::at(gate.gate, halt)).await?;
        let (broadcast, wave, reason) = (broadcast.id.as_str(), stopped.wave, stopped.reason.as_str());
        info!(broadcast, wave, reason, "Stopped {}", stopped.place());
        self.withhold().await
    }

    /// What the part's own records say.
    async fn known(&self, rows: &[Progressed]) -> Result<Gate, StageError> {
        let Self { ctx, gate, broadcast, .. } = self;
        let wave_of = |row: &Progressed| row.expected.wave;
        let called = || rows.iter().filter(|row| wave_of(row).is_some_and(|wave| wave <= gate.gate));
        let unsettled = called().filter(|row| row.latest().outcome.is_none()).count();
        // Of all waves so far: a message of an untrusted sender may name a wave that has no container.
        let since = called().filter_map(|row| row.at).max().unwrap_or(gate.since);
        Ok(Gate {
            wave: gate.gate,
            next: rows.iter().filter_map(wave_of).filter(|wave| *wave > gate.gate).min(),
            unsettled,
            quiet: elapsed(ctx, since),
            errors: Errors::default(),
            is_continued: unsettled == 0 && ctx.ledger.is_continued(&broadcast.id, gate.gate).await?,
            is_cancelled: false,
            alarms: Alarms::Quiet,
        })
    }

    /// Puts the gate back on its queue. Alarms are asked during a pause too, or one that is raised for some minutes is missed.
    fn wait(&self, plan: &Plan, left: Option<Duration>) -> Result<Output, StageError> {
        let poll = || (elapsed(self.ctx, self.gate.since) / POLL_SHARE).min(POLL_MAX);
        let delay = match left {
            None => poll(),
            Some(left) if plan.stop_on_alarm.is_empty() => left,
            Some(left) => left.min(poll().max(ALARMS_KEPT)),
        };
        let delay = delay.clamp(POLL_MIN, DELAY_MAX);
        let body = self.gate.to_body()?;
        Ok(Output { again: vec![Delayed { body, delay }], trace: Some(self.trace), ..Output::default() })
    }

    /// Finds the tasks of the part as they are now, and hands over a wave; `None` for the first.
    async fn hand_over(&self, plan: &Plan, wave: Option<u16>) -> Result<Output, StageError> {
        let Self { ctx, gate, broadcast, trace, record } = self;
        let mut fleet = ctx.discovery.tasks(&PartMessage::Gate(Box::new((*gate).clone()))).await?;
        let rows = self.recorded(plan, &mut fleet).await?;
        let Some(wave) = wave.or_else(|| rows.iter().filter_map(|row| row.wave).min()) else {
            return Ok(Output { trace: Some(*trace), ..Output::default() });
        };
        self.settle_stopped(&rows, &fleet, wave).await?;
        fleet.endpoints.retain(|endpoint| endpoint.wave == Some(wave));
        let queued = ctx.ledger.queued(&broadcast.id, &record.id, &run(gate)).await?;
        let states = fleet.endpoints.iter().map(|endpoint| ctx.ledger.state(&broadcast.id, &endpoint.member));
        let mut states = try_join_all(states).await?.into_iter();
        fleet.endpoints.retain(|endpoint| {
            let has_ended = states.next().flatten().is_some_and(|state| state.outcome.is_some());
            let id = DeliveryId::derive(&broadcast.id, &endpoint.member.task, &endpoint.member.container);
            !has_ended && !queued.contains(id.as_str())
        });
        let bodies = fleet.endpoints.iter().map(|endpoint| endpoint::message(endpoint, broadcast).to_body());
        let next = bodies.collect::<Result<Vec<_>, _>>()?;
        ctx.ledger.begin_wave(&broadcast.id, &record.id, wave).await?;
        let last = rows.iter().filter_map(|row| row.wave).max().unwrap_or_default();
        self.announce(wave, plan.waves().max(last), fleet);
        let mut after = GateMessage::new(wave, gate.part.clone(), gate.pace.clone());
        after.since = now(ctx);
        let again = vec![Delayed { body: after.to_body()?, delay: POLL_MIN }];
        Ok(Output { next, again, trace: Some(*trace), failure: None })
    }

    /// Gives each endpoint its wave and records new ones. A task that was recorded keeps its wave; one that has come since
    /// then joins the last. Returns the recorded rows.
    async fn recorded(&self, plan: &Plan, fleet: &mut Fleet) -> Result<Vec<Delivery>, StageError> {
        let Self { ctx, gate, broadcast, trace, record } = self;
        let placed = fleet.endpoints.iter().map(Placed::from);
        fleet.in_waves(&rollout::waves(plan, &broadcast.id, placed));
        let rows: Vec<_> =
            fleet.endpoints.iter().map(Delivery::from).chain(fleet.skips.iter().cloned()).collect();
        let (is_new, mut rows) = ctx.ledger.begin_part(&broadcast.id, record, rows).await?;
        if is_new {
            part::emit_skipped(ctx, &broadcast.id, trace.trace, fleet.skips.clone());
            return Ok(rows);
        }
        let waves: HashMap<String, u16> =
            rows.iter().filter_map(|row| Some((row.member.task.clone(), row.wave?))).collect();
        for endpoint in &mut fleet.endpoints {
            let joined = || rollout::joined(plan, &rows, gate.gate, endpoint.zone.as_ref());
            endpoint.wave = Some(waves.get(&endpoint.member.task).copied().unwrap_or_else(joined));
        }
        let last = rows.iter().filter_map(|row| row.wave).max();
        // After the last wave of the part, nobody would call them.
        if last.is_some_and(|last| gate.gate < last) {
            let known: BTreeSet<_> = rows.iter().map(|row| row.member.clone()).collect();
            let new = fleet.endpoints.iter().filter(|endpoint| !known.contains(&endpoint.member));
            let new: Vec<_> = new.map(Delivery::from).collect();
            if !new.is_empty() {
                rows.extend(new);
                ctx.ledger.replace_part(&broadcast.id, record, &rows).await?;
            }
        }
        Ok(rows)
    }

    /// Records the tasks of a wave that have stopped since they were found.
    async fn settle_stopped(&self, rows: &[Delivery], fleet: &Fleet, wave: u16) -> Result<(), StageError> {
        let Self { ctx, broadcast, trace, .. } = self;
        let running = fleet.endpoints.iter().map(|endpoint| &endpoint.member);
        let running: BTreeSet<_> = running.chain(fleet.skips.iter().map(|skip| &skip.member)).collect();
        for row in rows.iter().filter(|row| row.wave == Some(wave) && !running.contains(&row.member)) {
            let state = ctx.ledger.state(&broadcast.id, &row.member).await?;
            if state.is_none_or(|state| state.outcome.is_none()) {
                super::notify::settle(ctx, broadcast, trace.trace, row.clone().stopped()).await?;
            }
        }
        let of_wave: BTreeSet<_> =
            rows.iter().filter(|row| row.wave == Some(wave)).map(|row| &row.member).collect();
        for skip in fleet.skips.iter().filter(|skip| of_wave.contains(&skip.member)) {
            let skip = Delivery { wave: Some(wave), ..skip.clone() };
            super::notify::settle(ctx, broadcast, trace.trace, skip).await?;
        }
        Ok(())
    }

    fn announce(&self, wave: u16, waves: u16, fleet: Fleet) {
        let Self { ctx, broadcast, trace, record, .. } = self;
        let (id, containers) = (broadcast.id.as_str(), fleet.endpoints.len());
        let service = record.service.as_str();
        info!(broadcast = id, service, wave, waves, containers, "Wave {wave} of {waves} begins");
        let (broadcast, trace) = (broadcast.id.clone(), trace.trace);
        ctx.progress.emit(ProgressEvent::Wave {
            broadcast: broadcast.clone(),
            trace: Some(trace),
            wave,
            waves,
            containers,
        });
        part::emit_tasks(ctx, &broadcast, trace, record.clone(), fleet);
    }

    /// After a stop: records that the waves which have not begun are not called.
    async fn withhold(&self) -> Result<Output, StageError> {
        let Self { ctx, gate, broadcast, trace, record } = self;
        if gate.gate == 0 {
            // Nothing is found any more: a part that was not looked at has nobody to call.
            ctx.ledger.begin_part(&broadcast.id, record, Vec::new()).await?;
        }
        let rows = ctx.ledger.progressed(&broadcast.id, &record.id, u16::MAX).await?;
        let rest = rows.into_iter().filter(|row| row.expected.wave.is_none_or(|wave| wave > gate.gate));
        let rest = rest.filter(|row| row.latest().outcome.is_none() && row.latest().requests() == 0);
        let rest: Vec<_> = rest.collect();
        let waves = rest.iter().filter_map(|row| row.expected.wave).collect();
        let begun = ctx.ledger.begun(&broadcast.id, &record.id, &waves).await?;
        let withheld = rest.into_iter().map(|Progressed { expected, .. }| {
            // Another gate of the part may have handed them over.
            let may_be_called = expected.wave.is_some_and(|wave| begun.contains(&wave));
            if may_be_called { expected.withheld_after_a_receive() } else { expected.withheld() }
        });
        // At once, so that the ledger writes them in batches: it may be most of the fleet.
        let settled = withheld.map(|row| super::notify::settle(ctx, broadcast, trace.trace, row));
        try_join_all(settled).await?;
        Ok(Output { trace: Some(*trace), ..Output::default() })
    }
}

/// Identifies the wave after a gate among the records of queued deliveries, whichever message asks for it.
pub(super) fn run(gate: &GateMessage) -> String {
    format!("gate-{}", gate.gate)
}

fn errors<'a>(entries: impl Iterator<Item = &'a Delivery>, wave: u16) -> Errors {
    let mut errors = Errors::default();
    for entry in entries.filter(|entry| entry.wave.is_some()) {
        let is_error = matches!(entry.outcome, Some(Outcome::Failed | Outcome::Rejected));
        errors.all += usize::from(is_error);
        if entry.wave == Some(wave) {
            errors.wave += usize::from(is_error);
            errors.called += usize::from(entry.outcome != Some(Outcome::Skipped));
        }
    }
    errors
}

/// Milliseconds since 1970.
fn now(ctx: &Ctx) -> i64 {
    i64::try_from(ctx.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

fn elapsed(ctx: &Ctx, since: i64) -> Duration {
    Duration::from_millis(u64::try_from(now(ctx) - since).unwrap_or_default())
}
