//! Tells every running task of an ECS fleet something, and knows that each one heard.
//!
//! This file is the map. One event passes through three stages:
//!
//! ```text
//! ObserverMessage ──▶ discover::services ──▶ ServiceMessage… ──▶ discover::tasks ──▶ TaskMessage… ──▶ deliver ──▶ outcome
//! ```
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`labels`] | which containers asked to be called, and how (pure) |
//! | [`fleet`] | whom to call, who cannot be called and why |
//! | [`network`] | which addresses may be called at all (pure) |
//! | [`aws`] | the clients: ECS, EC2, SQS; their pages, batches, caches and budgets |
//! | [`discover`] | stages 1 and 2 |
//! | [`deliver`] | stage 3: one HTTP call per endpoint, its retries, its outcome |
//! | [`secrets`] | what signs and what is sent along: read by reference, kept up to date, never shown |
//! | [`queue`] | the three SQS queues: receive, publish, delete, keep invisible |
//! | [`work`] | one message of a queue: the stage, what follows, how it ends when it failed |
//! | [`daemon`] | the three stages as one process on the queues |
//! | [`redrive`] | dead letters back to work, or away for good |
//! | [`direct`] | the three stages as one call, without queues |
//! | [`again`] | the same once more, for those who were not told |
//! | [`ledger`] | the record of every broadcast, in DynamoDB or a file |
//! | [`outcome`], [`progress`], [`report`] | what became of each delivery, live and at the end |
//! | [`gather`] | many small questions asked of a service in batches |
//! | [`input`], [`text`] | texts from outside, up to a limit, and as they may be shown |
//! | [`url`] | one strict reading of every URL from outside (pure) |
//! | [`ambient`] | time, chance and the limit of open files; the only reader of them |
//! | [`settings`] | every setting, from flags, environment and file; the only reader of the environment |

pub mod again;
pub mod ambient;
pub mod aws;
mod cause;
pub mod daemon;
pub mod deliver;
pub mod direct;
pub mod discover;
pub mod fleet;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod gather;
pub mod input;
pub mod labels;
pub mod ledger;
pub mod network;
pub mod outcome;
pub mod progress;
pub mod queue;
pub mod redrive;
pub mod report;
pub mod secrets;
pub mod settings;
pub mod stage;
pub mod text;
pub mod url;
pub mod work;
