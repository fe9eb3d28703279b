//! A world, drawn from a seed: fleet, answers, broadcasts, and expected outcomes.
//!
//! Pure. What must come of it follows from what was drawn and the rules of the product's documents, never from the code
//! under test.

use std::time::Duration;

use fastrand::Rng;
use notifier::model::Outcome;
use simulator::Fleet;
use simulator::faults::{Fault, When};
use simulator::fleet::{Cluster, LaunchType, Service};

use crate::fleet;
use crate::paced::{self, Paced};
use crate::script::Script;
use crate::trouble;

/// The cluster of every world.
pub(crate) const CLUSTER: &str = "prod";
/// A service that no world has.
pub(crate) const NOWHERE: &str = "nowhere";
/// Receives before a message is dead: so many that only what a script says ends a delivery.
const RECEIVES_MAX: u32 = 60;
const CONTINUES_EVERY: Duration = Duration::from_secs(30);

/// Draws of one seed, in order.
pub(crate) struct Draw(Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0.usize(..most)
    }

    /// Both ends included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.u64(least..=most)
    }

    pub(crate) fn percent(&mut self, rng: usize) -> bool {
        self.below(100) < rng
    }

    /// A place, as likely as its weight.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        weights.iter().position(|weight| left.checked_sub(*weight).map(|rest| left = rest).is_none()).unwrap()
    }
}

/// The expected result of one container.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It is called, and this comes of it.
    Called(Outcome),
    /// It opted in and cannot be called.
    Skipped,
    /// It is not targeted.
    Ignored,
}

/// One task, in the order in which the simulator starts them.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Service, or the group of a standalone task.
    pub(crate) group: String,
    pub(crate) is_standalone: bool,
    pub(crate) containers: Vec<(String, Expected)>,
    /// It may be stopped, or hand its address on, without upsetting others.
    pub(crate) may_stop: bool,
    /// Its process refuses events for other tasks, so it may get a reused address.
    pub(crate) knows_itself: bool,
}

/// One broadcast.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    pub(crate) id: String,
    /// Empty: all of the cluster.
    pub(crate) services: Vec<String>,
    pub(crate) standalone: bool,
    /// How often it is requested.
    pub(crate) asked: usize,
    /// Its waves; all tasks at once when absent.
    pub(crate) pace: Option<Paced>,
}

impl Broadcast {
    /// Whether the scope takes a task in.
    pub(crate) fn takes(&self, task: &Task) -> bool {
        if task.is_standalone {
            return self.standalone && self.services.is_empty();
        }
        self.services.is_empty() || self.services.contains(&task.group)
    }

    pub(crate) fn message(&self) -> String {
        let mut message = serde_json::json!({
            "cluster": CLUSTER, "services": self.services, "standalone": self.standalone,
            "event": { "id": self.id, "type": "com.example.changed", "data": { "cache": "prices" } },
        });
        if let Some(pace) = &self.pace {
            message["pace"] = pace.field();
        }
        message.to_string()
    }
}

/// Something that happens in the middle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upset {
    /// The daemon or run is killed, and another starts.
    Kill,
    /// The daemon or run is stopped, and another starts.
    Restart,
    /// A task stops: the place of the task.
    Stop(usize),
    /// A task stops and another one, of another service, answers at its address: both places.
    Move(usize, usize),
    /// A broadcast is cancelled: its place.
    Cancel(usize),
}

/// The trigger of an upset.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// This number of calls at receivers.
    Calls(usize),
    /// This number of calls of an operation of SQS or ECS.
    Asked(&'static str, u64),
    /// So much time since the start.
    Passed(Duration),
    /// A trouble.
    Struck,
}

/// How a world sends its broadcasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A daemon on queues.
    Queues,
    /// One process for each broadcast, and others until it has ended.
    Direct,
}

/// Where a world keeps its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    None,
    File,
    Table,
}

/// Everything about one run.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) fleet: Fleet,
    pub(crate) tasks: Vec<Task>,
    pub(crate) broadcasts: Vec<Broadcast>,
    pub(crate) upsets: Vec<(Moment, Upset)>,
    pub(crate) faults: Vec<(&'static str, When, Fault)>,
    pub(crate) ledger: Place,
    pub(crate) is_signed: bool,
    /// Attempts at once.
    pub(crate) concurrency: usize,
    /// Seconds for which queues hide messages.
    pub(crate) visibility: u32,
    /// Receives before a message is dead.
    pub(crate) receives_max: u32,
    /// Some receiver wants to be left alone for longer than a delivery is tried.
    pub(crate) waits_long: bool,
    pub(crate) form: Form,
    /// With `send`: a run after the first calls only containers that are not notified in the ledger.
    pub(crate) resends: bool,
    /// How long a pause without an end lasts until somebody continues.
    pub(crate) continues_every: Duration,
}

impl World {
    /// The world of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let draw = &mut Draw::new(seed);
        let is_signed = draw.percent(40);
        let (fleet, tasks) = fleet::draw(draw, seed, is_signed);
        let ledger = if draw.percent(85) { Place::File } else { Place::None };
        let broadcasts = (0..draw.between(1, 3)).map(|n| broadcast(draw, seed, n, &tasks)).collect();
        let upsets = (0..draw.weighted(&[30, 40, 20, 10])).filter_map(|_| upset(draw, &tasks)).collect();
        let mut world = Self {
            seed,
            broadcasts,
            upsets,
            faults: trouble::draw(draw, ledger != Place::None),
            ledger,
            is_signed,
            concurrency: [256, 8, 3, 1][draw.weighted(&[40, 30, 20, 10])],
            receives_max: RECEIVES_MAX,
            waits_long: fleet::waits_long(&fleet),
            fleet,
            visibility: [4, 10, 20][draw.weighted(&[15, 35, 50])],
            tasks,
            form: Form::Queues,
            resends: false,
            continues_every: CONTINUES_EVERY,
        };
        // Drawn last, so that all else of a seed is as it was without tables.
        if world.has_ledger() && draw.percent(40) {
            world.ledger = Place::Table;
            world.faults.extend(trouble::of_table(draw));
        }
        if draw.percent(50) {
            world.directly(draw);
        }
        // The same of waves.
        if draw.percent(40) {
            paced::in_waves(&mut world, draw);
        }
        world
    }

    /// The same world in the direct form, with upsets and troubles that can happen to it.
    fn directly(&mut self, draw: &mut Draw) {
        self.form = Form::Direct;
        self.resends = self.has_ledger() && draw.percent(50);
        let count = draw.weighted(&[25, 35, 25, 15]);
        self.upsets = (0..count)
            .filter_map(|_| {
                let moment =
                    moment(draw, &self.tasks, &["ListTasks", "DescribeTasks", "DescribeTaskDefinition"]);
                Some((moment, what(draw, &self.tasks)?))
            })
            .collect();
        if self.has_ledger() && draw.percent(25) {
            let cancel = Upset::Cancel(draw.below(self.broadcasts.len()));
            let moment = moment(draw, &self.tasks, &["ListTasks", "DescribeTasks"]);
            self.upsets.push((moment, cancel));
        }
        if draw.percent(25) {
            self.faults.push(trouble::outage(draw));
        }
    }

    /// How much of its own time a world gets: every wait of its receivers, its troubles and its queues many times over.
    pub(crate) fn ends_within(&self) -> Duration {
        let pauses =
            self.broadcasts.iter().filter_map(|broadcast| broadcast.pace.as_ref()).map(Paced::pauses);
        // Each of several runs may begin with a pause.
        Duration::from_hours(3) + pauses.sum::<Duration>() * 3
    }

    pub(crate) fn has_ledger(&self) -> bool {
        self.ledger != Place::None
    }

    /// A world without faults, with a few services of this many tasks that all accept.
    pub(crate) fn small(services: &[u32]) -> Self {
        Self::small_of(services, &Script::accepting())
    }

    /// The same with other answers.
    pub(crate) fn small_of(services: &[u32], script: &Script) -> Self {
        let mut cluster = Cluster { name: CLUSTER.to_owned(), ..Cluster::default() };
        let mut tasks = Vec::new();
        for (number, count) in services.iter().enumerate() {
            let name = format!("s{number}");
            let container = fleet::opted_in("app", 8080, script.clone());
            let service = Service {
                name: name.clone(),
                launch_type: LaunchType::Fargate,
                tasks: *count,
                containers: vec![container],
                ..Service::default()
            };
            cluster.services.push(service);
            tasks.extend((0..*count).map(|_| Task {
                group: name.clone(),
                is_standalone: false,
                containers: vec![("app".to_owned(), Expected::Called(script.ends))],
                may_stop: false,
                knows_itself: false,
            }));
        }
        Self {
            seed: 0,
            fleet: Fleet { clusters: vec![cluster], ..Fleet::default() },
            tasks,
            broadcasts: vec![Broadcast {
                id: "b-0-0".to_owned(),
                services: vec![],
                standalone: false,
                asked: 1,
                pace: None,
            }],
            upsets: Vec::new(),
            faults: Vec::new(),
            ledger: Place::File,
            is_signed: false,
            concurrency: 8,
            visibility: 4,
            receives_max: RECEIVES_MAX,
            waits_long: false,
            form: Form::Queues,
            resends: false,
            continues_every: CONTINUES_EVERY,
        }
    }
}

fn broadcast(draw: &mut Draw, seed: u64, number: u64, tasks: &[Task]) -> Broadcast {
    let mut services = Vec::new();
    if draw.percent(25) {
        let task = &tasks[draw.below(tasks.len())];
        services.extend((!task.is_standalone).then(|| task.group.clone()));
        if services.is_empty() || draw.percent(30) {
            services.push(NOWHERE.to_owned());
        }
    }
    let asked = [1, 2, 3][draw.weighted(&[80, 15, 5])];
    Broadcast { id: format!("b-{seed}-{number}"), services, standalone: draw.percent(50), asked, pace: None }
}

fn upset(draw: &mut Draw, tasks: &[Task]) -> Option<(Moment, Upset)> {
    let moment = match draw.below(6) {
        0 => Moment::Calls(1 + draw.below(tasks.len() * 2)),
        1 => Moment::Asked("ListTasks", draw.between(1, 4)),
        2 => Moment::Asked("SendMessageBatch", draw.between(1, 8)),
        3 => Moment::Asked("DeleteMessageBatch", draw.between(1, 6)),
        4 => Moment::Asked("ReceiveMessage", draw.between(1, 12)),
        _ => Moment::Passed(Duration::from_millis(draw.between(1, 9_000))),
    };
    Some((moment, what(draw, tasks)?))
}

/// A moment of the direct form, by calls of these operations among others.
fn moment(draw: &mut Draw, tasks: &[Task], operations: &[&'static str]) -> Moment {
    match draw.below(4) {
        0 => Moment::Calls(1 + draw.below(tasks.len() * 2)),
        1 => Moment::Asked(operations[draw.below(operations.len())], draw.between(1, 4)),
        2 => Moment::Struck,
        _ => Moment::Passed(Duration::from_millis(draw.between(1, 9_000))),
    }
}

fn what(draw: &mut Draw, tasks: &[Task]) -> Option<Upset> {
    let stoppable: Vec<usize> = (0..tasks.len()).filter(|place| tasks[*place].may_stop).collect();
    Some(match draw.weighted(&[45, 15, 20, 20]) {
        0 => Upset::Kill,
        1 => Upset::Restart,
        2 => Upset::Stop(*stoppable.get(draw.below(stoppable.len().max(1)))?),
        _ => {
            let from = *stoppable.get(draw.below(stoppable.len().max(1)))?;
            let heirs =
                |place: &usize| tasks[*place].knows_itself && tasks[*place].group != tasks[from].group;
            let heirs: Vec<usize> = (0..tasks.len()).filter(heirs).collect();
            Upset::Move(from, *heirs.get(draw.below(heirs.len().max(1)))?)
        }
    })
}
