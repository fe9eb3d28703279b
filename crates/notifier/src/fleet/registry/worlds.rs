//! Thousands of seeded clusters whose events are lost, doubled, late and out of order, in virtual time: the registry against
//! the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;

use futures_util::FutureExt as _;
use futures_util::future::ready;

use super::sweep::{Source, Target};
use super::tests::{CLUSTER, Now, Table, arn, registry, task};
use super::*;
use crate::aws::ecs::{Described, EcsError, NotDescribed};
use crate::model::{RUNNING, STOPPED, TaskState};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const START: u64 = 1_795_600_000_000;
/// How old the list of tasks may be: ECS is eventually consistent.
const LIST_LAG: u64 = 10 * SECOND;
/// ECS describes a stopped task for at least an hour.
const REMEMBERED: u64 = HOUR;

/// The states of one task, with their times. ECS numbers them.
#[derive(Clone, Debug)]
struct History(Vec<(u64, TaskState)>);

impl History {
    fn at(&self, time: u64) -> Option<&TaskState> {
        self.0.iter().rev().find(|(since, _)| *since <= time).map(|(_, state)| state)
    }

    fn now(&self) -> &(u64, TaskState) {
        self.0.last().unwrap()
    }

    fn address(&self) -> Option<std::net::Ipv4Addr> {
        let addresses = self.0.iter().flat_map(|(_, state)| &state.containers);
        addresses.flat_map(|container| &container.interfaces).find_map(|one| one.v4)
    }

    /// When it began to run, and when it no longer counted as running.
    fn span(&self) -> (u64, Option<u64>) {
        let states = self.0.iter();
        let mut running = states.skip_while(|(_, state)| !state.is_running());
        let begin = running.next().map_or(u64::MAX, |(time, _)| *time);
        let end = running.find(|(_, state)| !state.is_running());
        (begin, end.map(|(time, _)| *time))
    }
}

/// A cluster, and the events on their way from it.
struct World {
    rng: fastrand::Rng,
    tasks: BTreeMap<usize, History>,
    /// Events between ECS and the queue, by the time of their arrival.
    on_their_way: Vec<(u64, Seen)>,
    queue: Vec<Seen>,
    waiting: Arc<AtomicU64>,
    /// Whether the message of a sweep is in flight.
    is_sweeping: bool,
    now: Now,
    /// The share of events that are lost, in percent.
    lost: u32,
    /// How many calls of a sweep may be made before one fails.
    calls_left: Option<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            lost: [0, 0, 5, 40, 100][rng.usize(..5)],
            tasks: BTreeMap::new(),
            on_their_way: Vec::new(),
            queue: Vec::new(),
            waiting: Arc::default(),
            is_sweeping: false,
            now: Now::at(START),
            calls_left: None,
            rng,
        }
    }

    /// A new state of a task, with its event.
    fn change(&mut self, number: usize, status: &str, desired: &str, versions: u64) {
        let now = self.now.get();
        let history = self.tasks.entry(number).or_insert_with(|| History(Vec::new()));
        let version = history.0.last().map_or(0, |(_, state)| state.version) + versions;
        let address = history.address().map_or_else(|| self.rng.u8(1..9), |ip| ip.octets()[3]);
        let state =
            TaskState { desired_status: Some(desired.to_owned()), ..task(number, version, status, address) };
        history.0.push((now, state.clone()));
        if self.rng.u32(..100) < self.lost {
            return;
        }
        let seen = Seen { task: state, at: now };
        for _ in 0..if self.rng.u8(..6) == 0 { 2 } else { 1 } {
            let delay = match self.rng.u8(..20) {
                0 => self.rng.u64(..30) * HOUR,
                1..4 => self.rng.u64(..600) * SECOND,
                _ => self.rng.u64(..3) * SECOND,
            };
            self.on_their_way.push((now + delay, seen.clone()));
        }
    }

    /// A task starts, goes on, or stops.
    fn churn(&mut self) {
        let number = self.rng.usize(..24) + usize::try_from((self.now.get() - START) / HOUR).unwrap() * 24;
        let status = self.tasks.get(&number).map(|history| {
            let (_, state) = history.now();
            (state.last_status.clone().unwrap(), state.desired_status.clone().unwrap())
        });
        match status.as_ref().map(|(last, desired)| (last.as_str(), desired.as_str())) {
            None => self.change(number, "PENDING", RUNNING, 2),
            Some(("PENDING", _)) => self.change(number, RUNNING, RUNNING, 2),
            Some((RUNNING, RUNNING)) if self.rng.bool() => self.change(number, RUNNING, STOPPED, 1),
            Some((RUNNING, _)) => self.change(number, STOPPED, STOPPED, 4),
            Some(_) => {}
        }
    }

    /// Lets time pass.
    fn pass(&mut self, time: u64) {
        self.now.0.fetch_add(time, std::sync::atomic::Ordering::Relaxed);
        let now = self.now.get();
        let (arrived, later) =
            std::mem::take(&mut self.on_their_way).into_iter().partition(|(at, _)| *at <= now);
        self.on_their_way = later;
        let arrived: Vec<(u64, Seen)> = arrived;
        self.queue.extend(arrived.into_iter().map(|(_, seen)| seen));
        self.count();
    }

    /// Takes a message from the queue, in no order.
    fn receive(&mut self) -> Option<Seen> {
        let place = (!self.queue.is_empty()).then(|| self.rng.usize(..self.queue.len()))?;
        Some(self.queue.swap_remove(place))
    }

    fn count(&self) {
        let messages = self.queue.len() + usize::from(self.is_sweeping);
        self.waiting.store(messages as u64, std::sync::atomic::Ordering::Relaxed);
    }

    fn running(&self) -> BTreeSet<String> {
        let running = self.tasks.iter().filter(|(_, history)| history.now().1.is_running());
        running.map(|(number, _)| arn(*number)).collect()
    }

    fn history(&self, task: &str) -> &History {
        let id = task.rsplit('/').next().unwrap();
        &self.tasks[&usize::from_str_radix(id, 16).unwrap()]
    }

    /// Fails if the sweep is to fail here; else the cluster goes on changing meanwhile.
    fn call(&mut self) -> Result<(), EcsError> {
        if let Some(left) = &mut self.calls_left {
            *left = left.checked_sub(1).ok_or(EcsError::Endless("DescribeTasks"))?;
        }
        if self.rng.bool() {
            self.churn();
            self.pass(SECOND);
        }
        Ok(())
    }
}

/// ECS, as a sweep sees it.
struct Model(Mutex<World>);

impl Source for Model {
    async fn list(&self, _: &str) -> Result<Vec<String>, EcsError> {
        let mut world = self.0.lock().unwrap();
        world.call()?;
        let at = world.now.get() - world.rng.u64(..LIST_LAG);
        let wanted = |history: &History| {
            history.at(at).is_some_and(|state| state.desired_status.as_deref() == Some(RUNNING))
        };
        Ok(world
            .tasks
            .iter()
            .filter(|(_, history)| wanted(history))
            .map(|(number, _)| arn(*number))
            .collect())
    }

    async fn describe(&self, _: &str, tasks: &[String]) -> Result<Described<TaskState>, EcsError> {
        let mut world = self.0.lock().unwrap();
        world.call()?;
        let (now, mut described) = (world.now.get(), Described { found: Vec::new(), failed: HashMap::new() });
        for task in tasks {
            let (since, state) = world.history(task).now().clone();
            if state.is_stopped() && now - since > REMEMBERED {
                described.failed.insert(task.clone(), NotDescribed::Missing);
            } else {
                described.found.push(state);
            }
        }
        Ok(described)
    }
}

/// One world with its registry.
struct Run {
    model: Model,
    table: Arc<Table>,
    registry: Registry,
    /// Tasks that a sweep found and nobody has looked at.
    late: Vec<String>,
    /// When the last successful sweep began.
    swept: Option<u64>,
    lived: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let (world, table) = (World::new(seed), Arc::new(Table::default()));
        let depth = Arc::clone(&world.waiting);
        let waiting = move || ready(Some(depth.load(std::sync::atomic::Ordering::Relaxed))).boxed();
        let registry = registry(&table, &world.now).with_waiting(Arc::new(waiting));
        Self { model: Model(Mutex::new(world)), table, registry, late: Vec::new(), swept: None, lived: 0 }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.model.0.lock().unwrap()
    }

    async fn pass(&self, time: u64) {
        self.world().pass(time);
        tokio::time::advance(Duration::from_millis(time)).await;
        // As a table's time to live.
        let now = i64::try_from(self.registry.now() / SECOND).unwrap();
        self.table.0.lock().unwrap().retain(|_, item| item.expires > now);
    }

    async fn receive(&self) {
        let received = self.world().receive();
        let Some(seen) = received else { return };
        if !self.registry.is_too_old(&seen) {
            self.registry.note(&seen).await.unwrap();
        }
        self.registry.note_progress(seen.at).await.unwrap();
        self.world().count();
    }

    async fn look(&mut self) {
        let tasks = std::mem::take(&mut self.late);
        let at = self.registry.now();
        self.world().calls_left = None;
        for task in self.model.describe(CLUSTER, &tasks).await.unwrap().found {
            self.registry.note(&Seen { task, at }).await.unwrap();
        }
    }

    async fn sweep(&mut self) {
        if !self.registry.claim(CLUSTER, 0).await.unwrap() {
            return;
        }
        let calls = {
            let mut world = self.world();
            (world.rng.u8(..4) == 0).then(|| world.rng.u32(..3))
        };
        self.sweep_now(calls).await;
    }

    async fn sweep_now(&mut self, calls: Option<u32>) {
        {
            let mut world = self.world();
            (world.calls_left, world.is_sweeping) = (calls, true);
            world.count();
        }
        let target = Target { arn: CLUSTER.to_owned(), name: Some("prod".to_owned()) };
        let began = self.registry.now();
        // Messages for looks are sent before the sweep counts as done: a failed sweep sends none, and finds the tasks again.
        if let Ok(swept) = self.registry.sweep(&self.model, &target).await {
            self.late = swept.late;
            self.swept = Some(began);
        }
        let mut world = self.world();
        world.is_sweeping = false;
        world.count();
    }

    async fn rows(&self) -> BTreeMap<String, Row> {
        let rows = self.registry.rows(CLUSTER).try_concat().await.unwrap();
        rows.into_iter().map(|row| (row.state().arn.clone(), row)).collect()
    }

    /// What a broadcast now would call, against what it should call.
    async fn check(&mut self, seed: u64) {
        let freshness = self.registry.freshness(CLUSTER).await;
        let rows = self.rows().await;
        let world = self.world();
        for (task, row) in &rows {
            let address = row.state().containers[0].interfaces[0].v4;
            assert_eq!(address, world.history(task).address(), "{seed}: the address of another task");
        }
        let Freshness::Live { .. } = freshness else { return };
        let (now, swept) = (world.now.get(), self.swept.unwrap());
        assert!(now - swept < 2 * 600 * SECOND, "{seed}");
        let running = world.running();
        for task in running.iter().filter(|task| !rows.contains_key(*task) && !self.late.contains(task)) {
            // Only what began after the sweep listed the tasks, and whose event is on its way or lost.
            let (began, _) = world.history(task).span();
            assert!(began + LIST_LAG >= swept, "{seed}: {task} is missing");
            let is_processed = world.lost == 0
                && !world.queue.iter().any(|seen| seen.task.arn == **task)
                && !world.on_their_way.iter().any(|(_, seen)| seen.task.arn == **task);
            assert!(!is_processed, "{seed}: {task} is missing, and its events are processed");
        }
        for task in rows.keys().filter(|task| !running.contains(*task)) {
            // Only what stopped after the sweep had seen it, or was seen shortly before.
            let (_, end) = world.history(task).span();
            assert!(end.unwrap() + 61 * SECOND >= swept, "{seed}: {task} has stopped long ago");
        }
        drop(world);
        self.lived += 1;
    }
}

async fn world(seed: u64) -> usize {
    let mut run = Run::new(seed);
    for _ in 0..60 {
        let (what, time) = {
            let mut world = run.world();
            let time = if world.rng.u8(..40) == 0 {
                world.rng.u64(..26) * HOUR
            } else {
                world.rng.u64(..40) * SECOND
            };
            (world.rng.u8(..12), time)
        };
        run.pass(time).await;
        match what {
            0..5 => run.world().churn(),
            5..9 => run.receive().await,
            9 => run.look().await,
            _ => run.sweep().await,
        }
        // A broadcast.
        let is_checked = run.world().rng.u8(..3) == 0;
        if is_checked {
            run.check(seed).await;
        }
    }
    // The cluster stands still, all events arrive in any order, and a sweep follows.
    run.pass(70 * SECOND).await;
    while !run.world().queue.is_empty() {
        run.receive().await;
    }
    run.look().await;
    run.pass(120 * SECOND).await;
    run.sweep_now(None).await;
    run.look().await;
    run.check(seed).await;
    run.lived
}

#[test]
fn the_registry_has_the_running_tasks_but_for_what_its_contract_allows() {
    const WORLDS: u64 = 2_000;
    let mut lived = 0;
    for seed in 0..WORLDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        lived += runtime.unwrap().block_on(world(seed));
    }
    assert!(lived > 5_000, "the registry was live only {lived} times");
}
