//! What the page knows of the ledger: reports of a few broadcasts, figures of many, and a poller for each watched one.
//!
//! A request never reads the ledger itself. It waits for a read that all requests for the same broadcast share, and reads
//! go on when their request ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notifier::base::Clock;
use notifier::ledger::{BroadcastRecord, Ledger, LedgerError, NoPause, Recorded, Step};
use notifier::model::Member;
use notifier::report::Counts;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use wire::BroadcastId;

use super::overview::Overview;
use crate::watch::silence;

/// Reports in memory. One of 100,000 containers takes some 60 MB.
const REPORTS_MAX: usize = 4;
/// Broadcasts whose figures are in memory.
const BRIEFS_MAX: usize = 1_000;
/// Reads of whole broadcasts that are under way at once.
const READS_AT_ONCE: usize = 2;
/// Pause between two reads of a watched broadcast, and the age up to which its report is shown.
const LOOK: Duration = Duration::from_secs(1);
/// The pause is at least this many times as long as the read, because reads of a large broadcast are expensive.
const LOOK_SHARE: u32 = 5;
/// Age up to which the report of a broadcast that has ended is shown. A redrive may still change it.
const ENDED_FRESH: Duration = Duration::from_secs(30);
/// Time that the list waits for figures that are not known yet.
const LIST_WAIT: Duration = Duration::from_secs(2);
/// The longest list.
pub(super) const LISTED_MAX: usize = 1_000;

/// A broadcast as of one read of the ledger.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) recorded: Recorded,
    pub(crate) overview: Overview,
    /// Whether no further outcome is expected.
    pub(crate) is_over: bool,
    /// The wave whose pause can be ended.
    pub(super) open_pause: Result<u16, NoPause>,
    /// Whether somebody has ended every pause that can be ended.
    pub(crate) is_continued: bool,
    read_at: Instant,
    read_took: Duration,
}

impl Snapshot {
    /// A report that was just read. `overdue` says that nothing more can come.
    pub(crate) fn new(mut recorded: Recorded, is_overdue: bool, read_took: Duration) -> Self {
        if is_overdue {
            recorded.report = recorded.report.overdue();
        }
        let is_over = recorded.is_complete || is_overdue || recorded.report.is_interrupted();
        let overview = Overview::of(&recorded);
        let open_pause = recorded.pauses().map(|waves| waves.first().copied().unwrap_or_default());
        Self {
            recorded,
            overview,
            is_over,
            open_pause,
            is_continued: false,
            read_at: Instant::now(),
            read_took,
        }
    }

    fn is_fresh(&self) -> bool {
        let fresh = if self.is_over { ENDED_FRESH } else { self.pause() };
        self.read_at.elapsed() < fresh
    }

    fn pause(&self) -> Duration {
        LOOK.max(self.read_took * LOOK_SHARE)
    }

    fn brief(&self) -> Brief {
        let Self { recorded, overview, is_over, .. } = self;
        let (counts, took) = (overview.counts, overview.took);
        Brief {
            counts,
            took,
            is_over: *is_over,
            is_cancelled: recorded.cancelled.is_some(),
            stopped_at: recorded.stopped.as_ref().map(|stopped| stopped.wave),
            wave: overview.wave,
            read_at: self.read_at,
        }
    }
}

/// The figures of one broadcast for the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brief {
    pub(crate) counts: Counts,
    pub(crate) took: Option<Duration>,
    pub(crate) is_over: bool,
    pub(crate) is_cancelled: bool,
    /// The wave at which it was stopped.
    pub(crate) stopped_at: Option<u16>,
    /// The latest wave that has begun, and the last one.
    pub(crate) wave: Option<(u16, u16)>,
    read_at: Instant,
}

impl Brief {
    fn is_fresh(&self) -> bool {
        // The figures of a broadcast that has ended are only compared again when somebody opens it.
        let fresh = if self.is_over { ENDED_FRESH * 10 } else { LOOK * 5 };
        self.read_at.elapsed() < fresh
    }
}

type Shown = Option<Arc<Snapshot>>;

/// The report of one broadcast, and the right to read it.
#[derive(Default)]
struct Slot {
    shown: Mutex<Shown>,
    reading: tokio::sync::Mutex<()>,
}

/// What is known of the ledger's broadcasts.
pub(crate) struct Feed {
    ledger: Ledger,
    clock: Clock,
    /// How long a delivery is retried.
    horizon: Duration,
    reads: Semaphore,
    /// The latest used is last.
    slots: Mutex<VecDeque<(BroadcastId, Arc<Slot>)>>,
    briefs: Mutex<HashMap<BroadcastId, Brief>>,
    /// Broadcasts whose figures are being read for the list.
    briefing: Mutex<HashSet<BroadcastId>>,
    briefed: Notify,
    recent: tokio::sync::Mutex<Option<(Instant, Arc<[BroadcastRecord]>)>>,
    watched: Mutex<HashMap<BroadcastId, watch::Sender<Shown>>>,
}

impl Feed {
    pub(super) fn new(ledger: Ledger, clock: Clock, horizon: Duration) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            clock,
            horizon,
            reads: Semaphore::new(READS_AT_ONCE),
            slots: Mutex::default(),
            briefs: Mutex::default(),
            briefing: Mutex::default(),
            briefed: Notify::new(),
            recent: tokio::sync::Mutex::default(),
            watched: Mutex::default(),
        })
    }

    /// The latest broadcasts, newest first, at most a second old.
    pub(super) async fn recent(&self) -> Result<Arc<[BroadcastRecord]>, LedgerError> {
        let mut recent = self.recent.lock().await;
        if let Some((at, records)) = &*recent
            && at.elapsed() < LOOK
        {
            return Ok(Arc::clone(records));
        }
        let records: Arc<[_]> = self.ledger.recent(LISTED_MAX).await?.into();
        *recent = Some((Instant::now(), Arc::clone(&records)));
        Ok(records)
    }

    /// The figures of these broadcasts, as far as they can be read in a short time.
    pub(super) async fn briefs(self: &Arc<Self>, ids: &[BroadcastId]) -> HashMap<BroadcastId, Brief> {
        for id in ids {
            self.brief_later(id);
        }
        let known = async {
            loop {
                let notified = self.briefed.notified();
                if !ids.iter().any(|id| lock(&self.briefing).contains(id)) {
                    return;
                }
                notified.await;
            }
        };
        // Rows without figures say so, and have them at the next load.
        let _ = timeout(LIST_WAIT, known).await;
        let briefs = lock(&self.briefs);
        ids.iter().filter_map(|id| Some((id.clone(), *briefs.get(id)?))).collect()
    }

    /// Reads the figures of a broadcast in the background, unless they are fresh or on their way.
    fn brief_later(self: &Arc<Self>, id: &BroadcastId) {
        let is_fresh = lock(&self.briefs).get(id).is_some_and(Brief::is_fresh);
        if is_fresh || !lock(&self.briefing).insert(id.clone()) {
            return;
        }
        let (feed, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move {
            if let Err(error) = feed.read(&id).await {
                tracing::warn!(error = %notifier::base::text::chain(&error), "The broadcast {id} cannot be read");
            }
            lock(&feed.briefing).remove(&id);
            feed.briefed.notify_waiters();
        });
    }

    /// The report of a broadcast; `None` if the ledger has no record of it.
    pub(super) async fn snapshot(self: &Arc<Self>, id: &BroadcastId) -> Result<Shown, LedgerError> {
        let slot = self.slot(id);
        if let Some(shown) = lock(&slot.shown).clone().filter(|shown| shown.is_fresh()) {
            return Ok(Some(shown));
        }
        let (feed, id) = (Arc::clone(self), id.clone());
        let read = tokio::spawn(async move {
            let _reading = match slot.reading.try_lock() {
                Ok(reading) => reading,
                Err(_busy) => {
                    // Somebody reads already: an older report is good enough, if there is one.
                    if let Some(shown) = lock(&slot.shown).clone() {
                        return Ok(Some(shown));
                    }
                    slot.reading.lock().await
                }
            };
            if let Some(shown) = lock(&slot.shown).clone().filter(|shown| shown.is_fresh()) {
                return Ok(Some(shown));
            }
            let read = feed.read(&id).await?;
            lock(&slot.shown).clone_from(&read);
            Ok(read)
        });
        read.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Reads a broadcast, and notes its figures.
    async fn read(&self, id: &BroadcastId) -> Result<Shown, LedgerError> {
        let _permit = self.reads.acquire().await.map_err(|_closed| LedgerError::Closed)?;
        let started = Instant::now();
        let Some(recorded) = self.ledger.read(id).await? else { return Ok(None) };
        let is_overdue = silence(&recorded, &self.clock, self.horizon).is_some();
        let mut snapshot = Snapshot::new(recorded, is_overdue, started.elapsed());
        if !is_overdue && let Ok(waves) = snapshot.recorded.pauses() {
            for wave in waves {
                snapshot.is_continued = self.ledger.is_continued(id, wave).await?;
                snapshot.open_pause = Ok(wave);
                if !snapshot.is_continued {
                    break;
                }
            }
        }
        let mut briefs = lock(&self.briefs);
        if briefs.len() >= BRIEFS_MAX
            && let Some(oldest) =
                briefs.iter().min_by_key(|(_, brief)| brief.read_at).map(|(id, _)| id.clone())
        {
            briefs.remove(&oldest);
        }
        briefs.insert(id.clone(), snapshot.brief());
        Ok(Some(Arc::new(snapshot)))
    }

    /// The place of a broadcast's report; the one that was used least recently makes room.
    fn slot(&self, id: &BroadcastId) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        let known = slots.iter().position(|(known, _)| known == id).and_then(|at| slots.remove(at));
        let (id, slot) = known.unwrap_or_else(|| (id.clone(), Arc::default()));
        slots.push_back((id, Arc::clone(&slot)));
        while slots.len() > REPORTS_MAX {
            slots.pop_front();
        }
        slot
    }

    /// The records of one delivery, with their times.
    pub(super) async fn steps(&self, id: &BroadcastId, member: &Member) -> Result<Vec<Step>, LedgerError> {
        self.ledger.steps(id, member).await
    }

    /// Cancels a broadcast; `false` if it was cancelled before.
    pub(super) async fn cancel(&self, id: &BroadcastId, reason: String) -> Result<bool, LedgerError> {
        let is_new = self.ledger.cancel(id, reason).await?;
        self.forget(id);
        Ok(is_new)
    }

    /// Ends the pause after a wave; `false` if it was ended before.
    pub(super) async fn continue_after(&self, id: &BroadcastId, wave: u16) -> Result<bool, LedgerError> {
        let is_new = self.ledger.continue_after(id, wave).await?;
        self.forget(id);
        Ok(is_new)
    }

    /// Reads a broadcast again before it is shown: an action has changed it.
    pub(super) fn forget(&self, id: &BroadcastId) {
        lock(&self.slots).retain(|(known, _)| known != id);
        lock(&self.briefs).remove(id);
    }

    /// Follows a broadcast. Its poller is shared by all viewers, and stops with the last one or with the broadcast.
    pub(super) fn watch(self: &Arc<Self>, id: &BroadcastId) -> watch::Receiver<Shown> {
        let mut watched = lock(&self.watched);
        if let Some(sender) = watched.get(id) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        watched.insert(id.clone(), sender.clone());
        tokio::spawn(Arc::clone(self).poll(id.clone(), sender));
        receiver
    }

    async fn poll(self: Arc<Self>, id: BroadcastId, sender: watch::Sender<Shown>) {
        loop {
            let (mut pause, mut is_over) = (LOOK, false);
            match self.snapshot(&id).await {
                Ok(Some(snapshot)) => {
                    (pause, is_over) = (snapshot.pause(), snapshot.is_over);
                    sender.send_replace(Some(snapshot));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %notifier::base::text::chain(&error), "The broadcast {id} cannot be read");
                    pause = LOOK * LOOK_SHARE;
                }
            }
            tokio::select! {
                () = sender.closed() => {}
                () = sleep(pause) => {}
            }
            // Under the lock, so that no viewer joins a poller that has ended.
            let mut watched = lock(&self.watched);
            if is_over || sender.receiver_count() == 0 {
                watched.remove(&id);
                return;
            }
        }
    }
}

/// A panic leaves no half-made change in these maps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
