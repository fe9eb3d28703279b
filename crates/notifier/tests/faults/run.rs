//! Runs one world, and records its observations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notifier::base::Clock;
use notifier::deliver::Auth;
use notifier::ledger::{DAYS_DEFAULT, Ledger, Recorded};
use notifier::rollout;
use serde_json::json;
use simulator::fleet::TaskStatus;
use simulator::{Received, Simulator};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wire::BroadcastId;

use crate::direct::{Direct, SendRun};
use crate::kept::Kept;
use crate::lane::Drive;
use crate::ministack::Cloud;
use crate::notes::Notes;
use crate::paced::Pause;
use crate::parts::{arns, scratch, start};
use crate::process::Daemon;
use crate::queues::{Dead, dead_letters, depth};
use crate::store::{Account, stops};
use crate::world::{Form, Moment, Place, Upset, World};

/// The queues of every world, in the order of the stages.
pub(crate) const QUEUES: [&str; 3] = ["observer", "services", "tasks"];
/// The time of day at which worlds begin, after 1970.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_795_512_600);
/// How often to look whether an upset is due or all is done: the most often at first, when most happens. To look is work,
/// and time passes slowly while somebody works.
const GLANCE_LEAST: Duration = Duration::from_millis(20);
const GLANCE_MOST: Duration = Duration::from_secs(2);

/// How long until the next look, so long after the start.
pub(crate) fn glance(passed: Duration) -> Duration {
    (passed / 16).clamp(GLANCE_LEAST, GLANCE_MOST)
}

/// The observations of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// ARN of each task of the world, in its order, and whether it has stopped.
    pub(crate) tasks: Vec<(String, bool)>,
    pub(crate) calls: Vec<Received>,
    /// The most calls that waited for answers at once.
    pub(crate) at_once: usize,
    /// The ledger's records of each broadcast.
    pub(crate) recorded: Vec<Option<Recorded>>,
    pub(crate) account: Account,
    pub(crate) dead: Vec<Dead>,
    /// Messages left on the three queues.
    pub(crate) left: usize,
    pub(crate) struck: BTreeMap<(String, &'static str), u64>,
    /// How much of its own time the world took.
    pub(crate) passed: Duration,
    /// Daemons that were started, or runs of the direct form.
    pub(crate) daemons: usize,
    /// The runs of the direct form, in order.
    pub(crate) runs: Vec<SendRun>,
    /// When broadcasts were cancelled, after 1970, by their places.
    pub(crate) cancelled: BTreeMap<usize, Duration>,
    /// When somebody continued after a wave of a broadcast, after 1970.
    pub(crate) continued: BTreeMap<(usize, u16), Duration>,
    /// When the stop of a broadcast was recorded, after 1970.
    pub(crate) stopped: BTreeMap<String, Duration>,
    /// The tasks whose connections were closed, and when, after 1970.
    pub(crate) closed: Vec<(String, Duration)>,
    /// The errors of the run itself.
    pub(crate) broken: Vec<String>,
    /// All items of the ledger.
    pub(crate) ledger: String,
}

/// Runs a world in time of its own. Blocks; may run beside others.
pub(crate) fn run(world: &World, trust: &Auth) -> Seen {
    run_on(world, Ground { trust: trust.clone(), ..Ground::default() })
}

/// Runs a world on some ground.
pub(crate) fn run_on(world: &World, ground: Ground) -> Seen {
    play(world, ground, Run::play).unwrap_or_else(|| Seen {
        broken: vec!["the run did not end, or panicked".to_owned()],
        ..Seen::default()
    })
}

/// Plays a world that has been started; `None` when that does not end, or panics.
pub(crate) fn play<T, F>(
    world: &World,
    ground: Ground,
    how: impl FnOnce(Run) -> F + Send + 'static,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let drive = if ground.cloud.is_some() { Drive::true_time() } else { Drive::default() };
    let lane = drive.lane();
    let ended = CancellationToken::new();
    let until = ended.clone().drop_guard();
    let (world, its) = (world.clone(), drive.clone());
    let (seen, is_seen) = oneshot::channel();
    lane.handle.spawn(async move {
        let run = how(Run::start(world, ground, its).await).await;
        // The receiver was dropped if the drive gave up.
        drop(seen.send(run));
        drop(until);
    });
    let came_to_an_end = drive.until(&ended);
    let seen = if came_to_an_end { is_seen.blocking_recv().ok() } else { None };
    lane.end();
    seen
}

/// What a world stands on, beside the simulator.
#[derive(Clone, Default)]
pub(crate) struct Ground {
    /// The signing keys of signed worlds.
    pub(crate) trust: Auth,
    /// SQS and DynamoDB of others; the simulator's SQS and a file when absent.
    pub(crate) cloud: Option<Cloud>,
    /// Where everything is noted that a daemon tells or shows of itself; it panics now and then, and that is noted too.
    pub(crate) notes: Option<Notes>,
}

/// A world that runs.
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) ground: Ground,
    pub(crate) drive: Drive,
    pub(crate) sim: Arc<Simulator>,
    directory: TempDir,
    pub(crate) kept: Kept,
    pub(crate) account: Account,
    arns: Vec<String>,
    pub(crate) daemons: usize,
    cancelled: BTreeMap<usize, Duration>,
    continued: BTreeMap<(usize, u16), Duration>,
    pub(crate) continues_at: Duration,
    closed: Vec<(String, Duration)>,
    pub(crate) broken: Vec<String>,
}

impl Run {
    async fn start(world: World, ground: Ground, drive: Drive) -> Self {
        let sim = Arc::new(start(&world).await);
        let directory = TempDir::new_in(scratch()).unwrap();
        if let Some(cloud) = &ground.cloud {
            cloud.create(&world).await;
        }
        let kept = match (world.ledger, &ground.cloud) {
            (Place::None, _) => Kept::Nowhere,
            (_, Some(cloud)) => Kept::Cloud(cloud.clone()),
            (Place::Table, None) => Kept::in_table(sim.faults().clone()).await,
            (Place::File, None) => {
                let _outside = drive.outside();
                Kept::in_file(directory.path(), drive.clock(EPOCH)).await
            }
        };
        let (arns, continues_at) = (arns(&world, &sim), world.continues_every);
        Self {
            world,
            ground,
            drive,
            sim,
            directory,
            kept,
            account: Account::default(),
            arns,
            daemons: 0,
            cancelled: BTreeMap::new(),
            continued: BTreeMap::new(),
            continues_at,
            closed: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Everything from the first message to the last.
    async fn play(mut self) -> Seen {
        if self.world.form == Form::Direct {
            return Direct::new(self).play().await;
        }
        self.begin().await;
        let daemon = self.daemon();
        self.finish(daemon).await
    }

    /// Orders the troubles.
    pub(crate) fn order(&self) {
        for (operation, when, fault) in &self.world.faults {
            self.sim.faults().order(operation, *when, *fault);
        }
    }

    /// Orders the troubles and asks for the broadcasts.
    pub(crate) async fn begin(&self) {
        self.order();
        for broadcast in &self.world.broadcasts {
            for _ in 0..broadcast.asked {
                self.send("observer", &broadcast.message()).await;
            }
        }
    }

    /// Runs daemons until no work is left, and records the observations.
    pub(crate) async fn finish(mut self, mut daemon: Daemon) -> Seen {
        let mut upsets = self.world.upsets.clone();
        loop {
            sleep(glance(self.drive.passed())).await;
            self.go_on().await;
            let due = upsets.iter().position(|(moment, _)| self.has_come(*moment));
            if let Some((_, upset)) = due.map(|place| upsets.remove(place)) {
                daemon = self.upset(upset, daemon).await;
            }
            if daemon.served.is_finished() {
                let ended = daemon.served.await;
                self.broken.push(format!("the daemon ended by itself: {ended:?}"));
                break;
            }
            let is_late = self.drive.passed() > self.world.ends_within();
            if is_late {
                let recorded = self.recorded().await;
                self.broken.push(format!("it has not ended after {:?}: {recorded:#?}", self.drive.passed()));
            }
            if is_late || self.has_ended().await {
                self.kill(daemon.lane);
                break;
            }
        }
        self.look().await
    }

    /// The time of day in this world.
    pub(crate) fn clock(&self) -> Clock {
        self.drive.clock(EPOCH)
    }

    /// Where everything is noted.
    pub(crate) fn notes(&self) -> Notes {
        self.ground.notes.clone().unwrap_or_default()
    }

    pub(crate) fn has_come(&self, moment: Moment) -> bool {
        match moment {
            Moment::Calls(calls) => self.sim.received_count() >= calls,
            Moment::Asked(operation, count) => self.sim.count(operation) >= count,
            Moment::Passed(time) => self.drive.passed() >= time,
            Moment::Struck => !self.sim.faults().struck().is_empty(),
        }
    }

    async fn upset(&mut self, upset: Upset, daemon: Daemon) -> Daemon {
        match upset {
            Upset::Kill => {
                self.kill(daemon.lane);
                self.daemon()
            }
            Upset::Restart => {
                daemon.shutdown.cancel();
                match daemon.served.await {
                    Ok(Ok(_)) => {}
                    other => self.broken.push(format!("the daemon did not end as asked: {other:?}")),
                }
                self.kill(daemon.lane);
                self.daemon()
            }
            Upset::Stop(_) | Upset::Move(..) | Upset::Cancel(_) => {
                self.disturb(upset).await;
                daemon
            }
        }
    }

    /// An upset that no process of the product can detect.
    pub(crate) async fn disturb(&mut self, upset: Upset) {
        match upset {
            Upset::Stop(task) => {
                self.close(task);
                self.sim.stop_task(&self.arns[task]).await.unwrap();
            }
            // Only within one kind of network, which is not always so.
            Upset::Move(from, to) => {
                if !self.has_stopped(from) && !self.has_stopped(to) {
                    self.close(from);
                    self.close(to);
                    drop(self.sim.move_address(&self.arns[from], &self.arns[to]).await);
                }
            }
            Upset::Cancel(place) => {
                let Some(store) = self.kept.looked_at() else { return };
                let ledger = Ledger::new(store, self.clock(), DAYS_DEFAULT);
                let outside = self.drive.outside();
                ledger.cancel(&self.id_of(place), "no longer wanted".to_owned()).await.unwrap();
                drop(outside);
                self.cancelled.entry(place).or_insert(EPOCH + self.drive.passed());
            }
            Upset::Kill | Upset::Restart => {}
        }
    }

    /// Ends a pause that has no end by itself, as somebody who looks now and then.
    pub(crate) async fn go_on(&mut self) {
        if self.drive.passed() < self.continues_at {
            return;
        }
        self.continues_at = self.drive.passed() + self.world.continues_every;
        for place in 0..self.world.broadcasts.len() {
            let pace = self.world.broadcasts[place].pace.as_ref();
            if pace.is_none_or(|pace| pace.pause != Pause::Manual) {
                continue;
            }
            let Some(recorded) = self.recorded_of(place).await else { continue };
            let Some(store) = self.kept.looked_at() else { continue };
            let ledger = Ledger::new(store, self.clock(), DAYS_DEFAULT);
            for wave in rollout::pauses(recorded.report.entries()) {
                let outside = self.drive.outside();
                let is_first = ledger.continue_after(&self.id_of(place), wave).await.unwrap();
                drop(outside);
                if is_first {
                    self.continued.insert((place, wave), EPOCH + self.drive.passed());
                    break;
                }
            }
        }
    }

    /// Notes that an answer under way of this task may be lost.
    fn close(&mut self, task: usize) {
        self.closed.push((self.arns[task].clone(), EPOCH + self.drive.passed()));
    }

    fn has_stopped(&self, task: usize) -> bool {
        let arn = &self.arns[task];
        self.sim.tasks().iter().any(|task| task.arn == *arn && task.last_status == TaskStatus::Stopped)
    }

    /// Whether nothing is left to do: no message is on a queue, and with a ledger, every broadcast is complete.
    async fn has_ended(&self) -> bool {
        if self.left().await > 0 {
            return false;
        }
        let recorded = self.recorded().await;
        !self.world.has_ledger() || recorded.iter().all(|one| one.as_ref().is_some_and(|one| one.is_complete))
    }

    async fn left(&self) -> usize {
        let mut left = 0;
        for name in QUEUES {
            left += match &self.ground.cloud {
                Some(cloud) => cloud.depth(&self.url(name)).await,
                None => depth(&self.sim, &self.url(name)).await,
            };
        }
        left
    }

    async fn recorded(&self) -> Vec<Option<Recorded>> {
        let mut all = Vec::new();
        for place in 0..self.world.broadcasts.len() {
            all.push(self.recorded_of(place).await);
        }
        all
    }

    /// What the ledger has of a broadcast.
    pub(crate) async fn recorded_of(&self, place: usize) -> Option<Recorded> {
        let ledger = Ledger::new(self.kept.looked_at()?, self.clock(), DAYS_DEFAULT);
        let _outside = self.drive.outside();
        ledger.read(&self.id_of(place)).await.unwrap()
    }

    fn id_of(&self, place: usize) -> BroadcastId {
        BroadcastId::try_from(self.world.broadcasts[place].id.clone()).unwrap()
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        if let Some(cloud) = &self.ground.cloud {
            return cloud.send(&self.url(queue), body).await;
        }
        let asked = json!({ "QueueUrl": self.url(queue), "MessageBody": body });
        self.sim.sqs("SendMessage", asked).await.unwrap();
    }

    pub(crate) fn url(&self, queue: &str) -> String {
        match &self.ground.cloud {
            Some(cloud) => cloud.url_of(&self.world, queue),
            None => format!("{}/111122223333/{queue}", self.sim.url()),
        }
    }

    pub(crate) async fn look(self) -> Seen {
        let mut seen = Seen {
            tasks: (0..self.arns.len())
                .map(|task| (self.arns[task].clone(), self.has_stopped(task)))
                .collect(),
            calls: self.sim.received(),
            at_once: self.sim.received_at_once(),
            recorded: self.recorded().await,
            left: self.left().await,
            struck: self.sim.faults().struck(),
            passed: self.drive.passed(),
            daemons: self.daemons,
            cancelled: self.cancelled.clone(),
            continued: self.continued.clone(),
            stopped: stops(&self.account),
            closed: self.closed.clone(),
            broken: self.broken.clone(),
            ..Seen::default()
        };
        seen.account = Arc::clone(&self.account);
        for name in QUEUES {
            let dead = self.url(&format!("{name}-dead"));
            seen.dead.extend(match &self.ground.cloud {
                Some(cloud) => cloud.dead_letters(&dead).await,
                None => dead_letters(&self.sim, &dead).await,
            });
        }
        seen.ledger = self.kept.text();
        for file in std::fs::read_dir(self.directory.path()).unwrap() {
            seen.ledger += &String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap());
        }
        seen
    }
}
