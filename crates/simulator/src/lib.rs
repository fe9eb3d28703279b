//! ECS, EC2, SQS and a little of STS, SSM and CloudWatch on loopback, for one or several accounts and Regions, with AWS's own paging, throttles and failures.
//!
//! A [`Fleet`] says what runs; a [`Simulator`] answers for it on one port, over AWS's real protocols, and lets the
//! fleet's containers really listen. Nothing here knows the product or an AWS SDK: a misreading of AWS must not stand
//! on both sides of a test.
//!
//! ```text
//! fleet      what runs, as a TOML file describes it
//! world      what runs now: tasks, hosts, addresses, ids; built from the fleet, changed live
//! workload   the processes of the tasks: listeners, their answers, what they received
//! ecs, ec2   the API operations, reading the world
//! sqs        queues
//! ssm        the machines outside AWS
//! cloudwatch the states of alarms
//! identity   the access key and Region of a request, and the sender of a message
//! sts        who the caller is, and the sessions of roles
//! worlds     the world of each account and Region
//! faults     injected faults
//! churn      a fleet that changes: rolling deployments, tasks that come and go by chance
//! events     task state change events, sent to a queue
//! server     which service a request is for, and its protocol
//! simulator  all of it in one handle
//! ```
//!
//! ```
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use simulator::faults::{Fault, When};
//! use simulator::{Fleet, Options, Simulator};
//!
//! let fleet = Fleet::from_toml(
//!     "[[cluster]]
//!      name = 'prod'
//!      [[cluster.service]]
//!      name = 'checkout'
//!      launch_type = 'FARGATE'
//!      tasks = 3
//!      [[cluster.service.container]]
//!      name = 'app'
//!      ports = [8080]
//!      answers = [{ status = 503 }, { status = 202 }]",
//! )?;
//! let sim = Simulator::start(fleet, Options::default()).await?;
//! sim.faults().order("ListTasks", When::Every(3), Fault::Throttle);
//! println!("AWS_ENDPOINT_URL={}", sim.url());
//! # Ok(())
//! # }
//! ```

//! # Large accounts
//!
//! Up to 100,000 tasks listen, each at a loopback address of its own: above 8,000 endpoints one socket for each port
//! serves all of them ([`fleet::Listeners`]). 5,000 services with 100,000 tasks start in two seconds and take 220 MiB in
//! a build for tests. Logs of calls and of received requests have limits ([`Options::calls_max`],
//! [`Options::received_max`]); a task that has stopped is never forgotten, and takes 1.3 KB.
//!
//! # Events
//!
//! [`Fleet::events`] and [`Options::events`] name a queue for task state change events. Faults for
//! [`faults::TASK_EVENT`] lose them, double them or let them come late; with [`faults::When::Chance`] the seed says
//! which. [`Simulator::change`], [`Simulator::churn`] and [`Simulator::deploy`] make changes that have events.
//!
//! ```
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use simulator::faults::{Fault, TASK_EVENT, When};
//! use simulator::fleet::EventTarget;
//! use simulator::{Churn, Fleet, Options, QueueSpec, Simulator};
//!
//! # let fleet = Fleet::default();
//! let options = Options {
//!     queues: vec![QueueSpec { name: "registry".to_owned(), ..QueueSpec::default() }],
//!     events: Some(EventTarget { queue: "registry".to_owned(), all: false }),
//!     ..Options::default()
//! };
//! let sim = Simulator::start(fleet, options).await?;
//! sim.faults().order(TASK_EVENT, When::Chance { per_mille: 20, seed: 7 }, Fault::LoseEvent);
//! sim.churn(&Churn::new(7), 500, Duration::from_mins(5)).await?;
//! # Ok(())
//! # }
//! ```

mod calls;
mod chance;
mod churn;
mod clock;
mod cloudwatch;
mod ec2;
mod ecs;
mod error;
mod events;
pub mod faults;
pub mod fleet;
mod http;
mod identity;
mod latency;
mod ring;
mod server;
mod simulator;
pub mod sqs;
mod ssm;
mod sts;
mod workload;
mod world;
mod worlds;

pub use calls::{Call, Outcome, Service};
pub use churn::{Changed, Churn, Rolling};
pub use clock::Clock;
pub use error::AwsError;
pub use faults::Faults;
pub use fleet::{Fleet, FleetError};
pub use identity::user_id;
pub use latency::Latency;
pub use simulator::{Endpoint, Options, QueueSpec, Simulator, StartError, TaskView};
pub use sts::Role;
pub use workload::{ListenError, Received};
pub use world::ChangeError;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even after a panic elsewhere, so that a poisoned lock does not hide the first panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
