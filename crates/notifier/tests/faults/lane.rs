//! Time that passes fast and stands still for whoever works: minutes of waiting cost a moment, and no limit of time is
//! missed because the machine is busy.
//!
//! A [`Lane`] stands for one process: a runtime of one thread whose clock moves only when it is told to. [`Drive`] moves
//! the clocks of all lanes together, in small steps while anybody has something to do and in large ones while everybody
//! waits. Ending a lane drops all its tasks where they are, as a killed process does.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notifier::base::Clock;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// How long to look, in true time, before a step: what is sent over loopback arrives in less. Longer while somebody
/// works, who would only be kept from it.
const LOOK_QUIET: Duration = Duration::from_micros(100);
const LOOK_BUSY: Duration = Duration::from_micros(600);
/// The same in a world of true time.
const LOOK_ENDED: Duration = Duration::from_millis(5);
/// A step while somebody works.
const STEP_LEAST: Duration = Duration::from_millis(1);
/// The longest step while somebody does a little: an exchange over loopback wakes each side a few times.
const STEP_SOME: Duration = Duration::from_millis(25);
/// The longest step while everybody waits. Nothing in a world differs by less and matters.
const STEP_MOST: Duration = Duration::from_millis(400);
/// True time after which a world that has not ended is given up.
const STUCK: Duration = Duration::from_secs(300);

/// One process.
pub(crate) struct Lane {
    pub(crate) handle: Handle,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// `has_own_time`: its clock moves only when it is told to.
    fn start(has_own_time: bool) -> Self {
        let end = CancellationToken::new();
        let (started, handle) = mpsc::channel();
        let until = end.clone();
        let thread = thread::spawn(move || {
            let runtime =
                Builder::new_current_thread().enable_all().start_paused(has_own_time).build().unwrap();
            // While a blocking task runs, tokio does not move a paused clock by itself.
            let (hold, let_go) = mpsc::channel::<()>();
            runtime.spawn_blocking(move || let_go.recv().is_err());
            started.send(runtime.handle().clone()).unwrap();
            runtime.block_on(until.cancelled());
            drop(hold);
        });
        Self { handle: handle.recv().unwrap(), end, thread: Some(thread) }
    }

    /// Ends it; when this returns, none of its tasks is left.
    pub(crate) fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // It may have panicked in a test that fails anyway.
            drop(thread.join());
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How much somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bustle {
    None,
    /// Woke up, and went back to sleep.
    Some,
    Much,
}

/// A lane as the drive sees it.
#[derive(Clone)]
struct Watched {
    handle: Handle,
    /// How often it went to sleep and woke, when it was looked at last.
    turns: u64,
}

impl Watched {
    /// What it did since the last look but take its step.
    fn look(&mut self) -> Bustle {
        let turns = self.handle.metrics().worker_park_unpark_count(0);
        let before = std::mem::replace(&mut self.turns, turns);
        // Odd: it sleeps. Two more: it woke for the step. Another two: a timer was set, or something came in.
        match turns - before {
            0..=2 if turns % 2 == 1 => Bustle::None,
            0..=4 if turns % 2 == 1 => Bustle::Some,
            _ => Bustle::Much,
        }
    }

    /// Moves its clock and waits until that is done; one that has ended has no clock.
    fn step(&self, by: Duration) {
        let (done, is_done) = mpsc::channel::<()>();
        self.handle.spawn(async move {
            tokio::time::advance(by).await;
            drop(done);
        });
        // Only ever disconnected: by the end of the step, or of the lane.
        let _ended = is_done.recv();
    }
}

/// Moves the clocks of a world's lanes. Clones are the same drive.
#[derive(Clone, Default)]
pub(crate) struct Drive {
    /// Since when true time counts, in a world that has none of its own.
    true_time: Option<Instant>,
    lanes: Arc<Mutex<Vec<Watched>>>,
    passed: Arc<AtomicU64>,
    /// Work under way outside of all lanes, as in the thread of a file.
    outside: Arc<AtomicUsize>,
}

/// Work outside of all lanes; it has ended when this is dropped.
pub(crate) struct Outside(Arc<AtomicUsize>);

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drive {
    /// True time, for a world that stands on processes of others.
    pub(crate) fn true_time() -> Self {
        Self { true_time: Some(Instant::now()), ..Self::default() }
    }

    /// A new lane of this drive.
    pub(crate) fn lane(&self) -> Lane {
        let lane = Lane::start(self.true_time.is_none());
        self.lanes.lock().unwrap().push(Watched { handle: lane.handle.clone(), turns: 0 });
        lane
    }

    /// No more steps for this lane.
    pub(crate) fn forget(&self, lane: &Lane) {
        self.lanes.lock().unwrap().retain(|watched| watched.handle.id() != lane.handle.id());
    }

    /// Notes work outside of all lanes.
    pub(crate) fn outside(&self) -> Outside {
        self.outside.fetch_add(1, Ordering::SeqCst);
        Outside(Arc::clone(&self.outside))
    }

    /// How much time has passed.
    pub(crate) fn passed(&self) -> Duration {
        match self.true_time {
            Some(started) => started.elapsed(),
            None => Duration::from_micros(self.passed.load(Ordering::SeqCst)),
        }
    }

    /// The time of day: `epoch` after 1970 and what has passed.
    pub(crate) fn clock(&self, epoch: Duration) -> Clock {
        let drive = self.clone();
        Clock::from_fn(move || SystemTime::UNIX_EPOCH + epoch + drive.passed())
    }

    /// Drives until `ended`; `false` when that does not come.
    pub(crate) fn until(&self, ended: &CancellationToken) -> bool {
        let started = Instant::now();
        let mut step = STEP_LEAST;
        while !ended.is_cancelled() {
            if started.elapsed() > STUCK {
                return false;
            }
            if self.true_time.is_some() {
                thread::sleep(LOOK_ENDED);
                continue;
            }
            thread::sleep(if step == STEP_LEAST { LOOK_BUSY } else { LOOK_QUIET });
            let mut lanes = self.lanes.lock().unwrap().clone();
            let mut bustle = lanes.iter_mut().map(Watched::look).max().unwrap_or(Bustle::None);
            if self.outside.load(Ordering::SeqCst) > 0 {
                bustle = Bustle::Much;
            }
            for looked in &lanes {
                if let Some(lane) =
                    self.lanes.lock().unwrap().iter_mut().find(|lane| lane.handle.id() == looked.handle.id())
                {
                    lane.turns = looked.turns;
                }
            }
            step = match bustle {
                Bustle::None => (step * 2).min(STEP_MOST),
                Bustle::Some => step.min(STEP_SOME),
                Bustle::Much => STEP_LEAST,
            };
            self.passed.fetch_add(u64::try_from(step.as_micros()).unwrap(), Ordering::SeqCst);
            for lane in &lanes {
                lane.step(step);
            }
        }
        true
    }
}
