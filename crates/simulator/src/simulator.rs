//! The simulator's handle: starts a fleet, and reads and changes it while it runs.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::calls::{Call, CallLog};
use crate::clock::Clock;
use crate::error::AwsError;
use crate::events::Events;
use crate::faults::Faults;
use crate::fleet::{Alarm, AlarmState, EventTarget, Fleet, FleetError, HealthStatus, TaskStatus};
use crate::lock;
use crate::server::Core;
use crate::sqs::Sqs;
use crate::sts::{Role, Sts};
use crate::workload::{Block, ListenError, Log, Occupant, Received, Workload, hint};
use crate::world::{ChangeError, Cluster, Task, World};
use crate::worlds::{Place, Worlds, blocks};

/// Time for API calls to end when the simulator stops. Long polls are cancelled.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The most memory that the bodies in each of the two logs take.
const LOG_BYTES_MAX: usize = 128 << 20;

/// How a simulator is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API listens; a free port of 127.0.0.1 when absent.
    pub listen: Option<SocketAddr>,
    /// What runs in other accounts and Regions, each in one of its own. Without these and without `roles`, any credentials
    /// and Region reach the one fleet. With them, the Region is that of the request's signature; the account is that of
    /// the role whose session signed it, else that of the first fleet. There is nothing in an account and Region that no
    /// fleet describes.
    pub elsewhere: Vec<Fleet>,
    /// The roles that may be assumed.
    pub roles: Vec<Role>,
    /// SQS queues that are there from the start, in the account of the first fleet.
    pub queues: Vec<QueueSpec>,
    /// Where task state change events go, of fleets that do not say so themselves; nowhere when absent.
    pub events: Option<EventTarget>,
    /// What the simulator's clock says at the start: time since 1970-01-01 UTC. It is fixed by default, so that
    /// answers are the same each time.
    pub epoch: Duration,
    /// Whether answers have the simulator's time as their `Date`, as AWS's have AWS's, and not this machine's.
    pub tells_time: bool,
    /// Throttle ECS and EC2 with AWS's own rates: [`Faults::throttle_like_aws`].
    pub throttle_like_aws: bool,
    /// How many API calls are kept; all are counted.
    pub calls_max: usize,
    /// How many requests received by containers are kept.
    pub received_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: None,
            elsewhere: Vec::new(),
            roles: Vec::new(),
            queues: Vec::new(),
            events: None,
            // 2026-01-01 00:00 UTC.
            epoch: Duration::from_hours(490_896),
            tells_time: false,
            throttle_like_aws: false,
            calls_max: 20_000,
            received_max: 100_000,
        }
    }
}

/// A queue to create at the start.
#[derive(Clone, Debug, Default)]
pub struct QueueSpec {
    /// Queue name.
    pub name: String,
    /// Attributes as `CreateQueue` takes them, for example `VisibilityTimeout` = `30`.
    pub attributes: BTreeMap<String, String>,
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The fleet is not valid.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The API cannot listen.
    #[error("the simulator cannot listen at {address}: {source}{}", hint(*address, source))]
    Api {
        /// Where.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// No block of loopback addresses could be taken.
    #[error("no loopback addresses for the fleet, at {address}: {source}{}", hint(*address, source))]
    Addresses {
        /// The last that was tried.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// A container cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A queue cannot be created.
    #[error("queue {name} cannot be created: {source}")]
    Queue {
        /// Its name.
        name: String,
        /// What SQS answered.
        source: AwsError,
    },
}

/// A task as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskView {
    /// Task ARN.
    pub arn: String,
    /// Name of its cluster.
    pub cluster: String,
    /// Name of its service; `None` for a standalone task.
    pub service: Option<String>,
    /// Task group, for example `service:checkout`.
    pub group: String,
    /// ARN of its task-definition revision.
    pub task_definition: String,
    /// Where it is in its life.
    pub last_status: TaskStatus,
    /// Where it is to be.
    pub desired_status: TaskStatus,
    /// How often its state has changed.
    pub version: u64,
    /// Where its mapped TCP ports are on the network, whether or not something listens.
    pub endpoints: Vec<Endpoint>,
}

/// Where one port of one container is on the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// Name of the container.
    pub container: String,
    /// Port inside the container.
    pub container_port: u16,
    /// Address and port that callers use.
    pub address: SocketAddr,
}

/// ECS, EC2 and SQS for one fleet, and the fleet's containers. Stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    core: Arc<Core>,
    events: Arc<Events>,
    address: SocketAddr,
    stop: CancellationToken,
    server: TaskTracker,
}

impl Simulator {
    /// Starts everything that the fleet describes. When this returns, the API answers and the containers listen.
    ///
    /// # Errors
    ///
    /// An invalid fleet, or addresses or ports that are not available; the messages say what to do.
    pub async fn start(fleet: Fleet, options: Options) -> Result<Self, StartError> {
        let fleets: Vec<&Fleet> = std::iter::once(&fleet).chain(&options.elsewhere).collect();
        fleets.iter().try_for_each(|fleet| fleet.check())?;
        let clock = Clock::starting_at(options.epoch);
        let block = match blocks(&fleets) {
            0 => Block::none(),
            width => {
                let taken = Block::take(width);
                taken.map_err(|(address, source)| StartError::Addresses { address, source })?
            }
        };
        let is_alone = options.elsewhere.is_empty() && options.roles.is_empty();
        let wanted = options.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let api = |source| StartError::Api { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(api)?;
        let address = listener.local_addr().map_err(api)?;
        let faults = Faults::default();
        if options.throttle_like_aws {
            faults.throttle_like_aws();
        }
        let sqs =
            Sqs::new(&format!("http://{address}"), &fleet.region, &fleet.account, clock, faults.clone());
        create_queues(&sqs, &options.queues).await?;
        let targets = fleets.iter().filter_map(|fleet| {
            Some((Place::of(fleet), fleet.events.clone().or_else(|| options.events.clone())?))
        });
        let events = Arc::new(Events::new(sqs.clone(), faults.clone(), clock, targets.collect()));
        let worlds = Worlds::build(&fleets, is_alone, block.number(), &events, clock)?;
        let workload = Workload::new(Log::new(clock, options.received_max, LOG_BYTES_MAX), block);
        for occupant in occupants(&worlds) {
            workload.open(occupant).await?;
        }
        let calls = CallLog::new(clock, options.calls_max, LOG_BYTES_MAX);
        let tells = options.tells_time.then_some(clock);
        let sts = Sts::new(&fleet.account, options.roles);
        let core = Arc::new(Core { worlds, workload, faults, calls, sqs, sts, tells });
        let (stop, server) = (CancellationToken::new(), TaskTracker::new());
        if events.are_any_wanted() {
            server.spawn(Arc::clone(&events).run(stop.clone()));
        }
        let answering = Arc::clone(&core);
        let answer = move |request| Arc::clone(&answering).answer(request);
        server.spawn(crate::http::serve(stop.clone(), STOP_GRACE, answer, listener));
        server.close();
        Ok(Self { core, events, address, stop, server })
    }

    /// The endpoint of all services: `http://127.0.0.1:PORT`. Any credentials and Region are accepted; see
    /// [`Options::elsewhere`].
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The API calls so far, each attempt by itself, within [`Options::calls_max`].
    pub fn calls(&self) -> Vec<Call> {
        self.core.calls.all()
    }

    /// How often an operation was called since the start or [`reset_calls`](Self::reset_calls); throttled and failed
    /// attempts count.
    pub fn count(&self, operation: &str) -> u64 {
        self.core.calls.count(operation)
    }

    /// Forgets the API calls and their counts.
    pub fn reset_calls(&self) {
        self.core.calls.reset();
    }

    /// The requests that containers received so far, within [`Options::received_max`].
    pub fn received(&self) -> Vec<Received> {
        self.core.workload.log().all()
    }

    /// How many requests containers received since the start, however many are kept.
    pub fn received_count(&self) -> usize {
        self.core.workload.log().count()
    }

    /// The most requests that waited for containers' answers at once. One whose client gave up does not wait.
    pub fn received_at_once(&self) -> usize {
        self.core.workload.log().open_most()
    }

    /// An operation of SQS without HTTP: without faults of whole calls, and not in the [`calls`](Self::calls).
    pub async fn sqs(
        &self,
        operation: &str,
        parameters: serde_json::Value,
    ) -> Result<serde_json::Value, AwsError> {
        self.core.sqs.call(operation, parameters).await
    }

    /// Forgets the requests that containers received.
    pub fn reset_received(&self) {
        self.core.workload.log().clear();
    }

    /// The injected faults.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// How many task state change events have arrived at their queues.
    pub fn events_sent(&self) -> u64 {
        self.events.sent()
    }

    /// How many task state change events are kept back by ordered faults, and arrive later.
    pub fn events_waiting(&self) -> usize {
        self.events.waiting()
    }

    /// Adds a role that may be assumed, or changes it: for example, from now on it is refused. Sessions that were made
    /// before stay valid, as on AWS.
    pub fn set_role(&self, role: Role) {
        self.core.sts.set_role(role);
    }

    /// The state of a CloudWatch alarm of the first fleet from now on. A metric alarm that is not there yet is created.
    pub fn set_alarm(&self, name: &str, state: AlarmState) {
        let set = |world: &mut World| {
            let new = || Alarm { name: name.to_owned(), ..Alarm::default() };
            world.alarms.entry(name.to_owned()).or_insert_with(new).state = state;
            Ok(())
        };
        // It always succeeds: there is a home, and the change has no error of its own.
        let _ = self.change_home(set);
    }

    /// All tasks, stopped ones too, in the order in which they started; those of the first fleet come first.
    pub fn tasks(&self) -> Vec<TaskView> {
        let views = |world: &Mutex<World>| -> Vec<TaskView> {
            lock(world).all_tasks().map(|(cluster, task)| view(cluster, task)).collect()
        };
        self.core.worlds.all().flat_map(views).collect()
    }

    /// One task, however long ago it stopped.
    pub fn task(&self, arn: &str) -> Option<TaskView> {
        let find =
            |world: &Mutex<World>| lock(world).find_task(arn).map(|(cluster, task)| view(cluster, task));
        self.core.worlds.all().find_map(find)
    }

    /// Stops a task: its listeners and connections close, ECS says STOPPED. ECS describes it for another hour.
    pub async fn stop_task(&self, arn: &str) -> Result<(), ChangeError> {
        self.core.worlds.change(arn, |world| world.stop(arn))?;
        self.core.workload.close(arn).await;
        Ok(())
    }

    /// Lets a task stop as soon as an answer of `ListTasks` has named it.
    pub fn stop_after_listing(&self, arn: &str) -> Result<(), ChangeError> {
        self.core.worlds.change(arn, |world| world.stop_after_listing(arn))
    }

    /// What the health checks of a task say from now on.
    pub fn set_health(&self, arn: &str, health: HealthStatus) -> Result<(), ChangeError> {
        self.core.worlds.change(arn, |world| world.set_health(arn, health))
    }

    /// Starts one more task of the primary deployment of a service of the first fleet, and returns its ARN.
    pub async fn start_task(&self, cluster: &str, service: &str) -> Result<String, ChangeError> {
        let arn = self.change_home(|world| world.start(cluster, service))?;
        self.open(&arn).await?;
        Ok(arn)
    }

    /// Stops `from` and lets `to` answer at its address, as if `to` had started there after `from` ended. Both must
    /// have the same network mode; in bridge mode `to` takes over the host ports as well.
    pub async fn move_address(&self, from: &str, to: &str) -> Result<(), ChangeError> {
        self.core.worlds.change(from, |world| world.move_address(from, to))?;
        self.core.workload.close(from).await;
        self.core.workload.close(to).await;
        self.open(to).await
    }

    /// Stops everything: calls under way finish or are cut off within a second, listeners close.
    pub async fn stop(self) {
        self.stop.cancel();
        self.server.wait().await;
        self.core.workload.close_all().await;
    }

    /// Changes the first fleet's world.
    pub(crate) fn change_home<T>(
        &self,
        change: impl FnOnce(&mut World) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        self.core.worlds.change_home(change)
    }

    async fn open(&self, arn: &str) -> Result<(), ChangeError> {
        let occupant = self.core.worlds.change(arn, |world| {
            let found = world.find_task(arn).filter(|_| world.listens());
            Ok(found.map(|(cluster, task)| Occupant::of(world, cluster, task)))
        })?;
        match occupant {
            Some(occupant) => Ok(self.core.workload.open(occupant).await?),
            None => Ok(()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the tasks of the fleets that listen ought to listen to.
fn occupants(worlds: &Worlds) -> Vec<Occupant> {
    let of = |world: &Mutex<World>| -> Vec<Occupant> {
        let world = lock(world);
        let tasks = world.all_tasks().filter(|_| world.listens());
        tasks.map(|(cluster, task)| Occupant::of(&world, cluster, task)).collect()
    };
    worlds.all().flat_map(of).collect()
}

async fn create_queues(sqs: &Sqs, queues: &[QueueSpec]) -> Result<(), StartError> {
    for queue in queues {
        let parameters = json!({ "QueueName": queue.name, "Attributes": queue.attributes });
        sqs.call("CreateQueue", parameters)
            .await
            .map_err(|source| StartError::Queue { name: queue.name.clone(), source })?;
    }
    Ok(())
}

fn view(cluster: &Cluster, task: &Task) -> TaskView {
    let endpoints = task.sockets().into_iter().filter_map(|socket| {
        Some(Endpoint {
            container: task.definitions().get(socket.container)?.name.clone(),
            container_port: socket.container_port,
            address: socket.address,
        })
    });
    TaskView {
        arn: task.arn.clone(),
        cluster: cluster.name.clone(),
        service: task.recipe.service.clone(),
        group: task.recipe.group.clone(),
        task_definition: task.recipe.definition.arn.clone(),
        last_status: task.last_status,
        desired_status: task.desired_status,
        version: task.version,
        endpoints: endpoints.collect(),
    }
}
