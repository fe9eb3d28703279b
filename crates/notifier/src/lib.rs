//! Notifies every running task of an ECS fleet, and proves that each one was notified.
//!
//! This file is the map, read from the top down. A module uses only modules below it.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`daemon`] | runs the pipeline on SQS queues in one process |
//! | [`pipeline`] | the three stages: find services, find tasks, notify; retries, dead letters, redrive |
//! | [`settings`] | reads every setting from flags, environment and file |
//! | [`ledger`] | records every broadcast and outcome, in DynamoDB or a SQLite file |
//! | [`queue`] | receives, publishes, extends, deletes and dead-letters SQS messages |
//! | [`deliver`] | makes one delivery: HTTP attempts, retries, outcome |
//! | [`report`] | counts, percentiles and JSON lines of a broadcast |
//! | [`fleet`] | finds tasks in ECS, classifies their containers, looks up addresses |
//! | [`secrets`] | reads signing keys and headers by reference, and reloads them |
//! | [`aws`] | AWS clients, their budget, retries and errors |
//! | [`model`] | the project's own types and pure rules |
//! | [`base`] | time, random numbers, text, backoff, batches |

pub mod aws;
pub mod base;
pub mod daemon;
pub mod deliver;
pub mod fleet;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod ledger;
pub mod model;
mod notifier;
pub mod pipeline;
pub mod queue;
pub mod report;
pub mod secrets;
pub mod settings;

pub use notifier::{Notifier, Parts, StartError, open_ledger, senders};
