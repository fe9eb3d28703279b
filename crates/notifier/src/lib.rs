//! Notifies every running task of an ECS fleet, and proves that each one was notified.
//!
//! This file is the map, read from the top down. A module uses only modules below it.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`daemon`] | runs the pipeline on SQS queues in one process |
//! | [`telemetry`] | metrics of the progress events, for Prometheus and `CloudWatch` |
//! | [`pipeline`] | the three stages: find services, find tasks, notify; retries, dead letters, redrive |
//! | [`settings`] | reads every setting from flags, environment and file |
//! | [`ledger`] | records every broadcast and outcome, in DynamoDB or a SQLite file |
//! | [`queue`] | receives, publishes, extends, deletes and dead-letters SQS messages |
//! | [`deliver`] | makes one delivery: HTTP attempts, retries, outcome |
//! | [`report`] | counts, percentiles and JSON lines of a broadcast |
//! | [`sources`] | reads events of AWS services, and routes them to broadcasts by rules |
//! | [`fleet`] | finds tasks in ECS, classifies their containers, looks up addresses |
//! | [`rollout`] | calls a fleet in waves: which task in which wave, and what follows after each (pure) |
//! | [`secrets`] | reads signing keys and headers by reference, and reloads them |
//! | [`store`] | a table of items in DynamoDB or a SQLite file |
//! | [`aws`] | AWS clients, their budget, retries and errors |
//! | [`model`] | the project's own types and pure rules |
//! | [`base`] | time, random numbers, text, backoff, batches, event streams |
//!
//! # Example
//!
//! A whole broadcast against the simulator. On AWS, [`Notifier::from_settings`] takes the place of [`Notifier::new`].
//!
//! ```
//! use notifier::aws::Aws;
//! use notifier::settings::{Flags, Settings, Sources};
//! use notifier::{Notifier, Parts};
//! use wire::{Broadcast, BroadcastId, Draft, ObserverMessage};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fleet = "[[cluster]]\nname = 'prod'\n[[cluster.service]]\nname = 'web'\nlaunch_type = 'FARGATE'\ntasks = 3\n\
//! #     [[cluster.service.container]]\nname = 'app'\nports = [8080]\n\
//! #     labels = { NOTIFY_ME_CONTAINER_PORT = '8080', NOTIFY_ME_API_URI = '/notify' }";
//! # let fleet = simulator::Fleet::from_toml(fleet)?;
//! let simulator = simulator::Simulator::start(fleet, simulator::Options::default()).await?;
//! // Only loopback may be called, where the simulator's tasks listen.
//! let environment = [("NOTIFIER_ALLOW_NETWORKS", "127.0.0.0/8")].into_iter().collect();
//! let sources = Sources { flags: &Flags::new(), config: None, environment: &environment, needed: &[] };
//! let (settings, _warnings) = Settings::load(sources)?;
//! let notifier = Notifier::new(settings, Aws::at(&simulator.url(), "us-east-1"), Parts::default());
//!
//! let scope = ObserverMessage::new("prod");
//! let id = BroadcastId::try_from("cache-cleared-1".to_owned())?;
//! let event = Draft::default().complete(&id, std::time::SystemTime::UNIX_EPOCH)?;
//! let report = notifier.send(&scope, &Broadcast::new(event)).await?;
//! assert_eq!(report.counts().delivered, 3);
//! # Ok(())
//! # }
//! ```

pub mod aws;
pub mod base;
pub mod daemon;
pub mod deliver;
pub mod fleet;
pub mod ledger;
pub mod model;
mod notifier;
pub mod pipeline;
pub mod queue;
pub mod report;
pub mod rollout;
pub mod secrets;
pub mod settings;
pub mod sources;
pub mod store;
pub mod telemetry;

pub use notifier::{Notifier, Parts, StartError, senders};
