//! Helpers for the tests of several crates: emulators, fake servers, queues.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`emulator`] | starts MiniStack or moto on a free port |
//! | [`boto`] | sets up resources with AWS's Python client |
//! | [`moto`] | moto with EC2 instances of every kind |
//! | [`fake_dynamodb`] | a DynamoDB that fails on command |
//! | [`stub_server`] | an HTTP server whose responses a test computes |
//! | `fleets` | fleets of the simulator, with the queues of the stages (feature `product`) |
//! | `sqs` | queues on the simulator or MiniStack, with `on_both!` (feature `product`) |
//! | `functions` | a function on its queue (feature `functions`) |
//! | `lambda_event` | the JSON of an event source mapping (feature `product`) |
//! | `stages` | the stages for tasks on loopback, a ledger in a file (feature `product`) |
//! | `task_events` | ECS's events through a rule of MiniStack's EventBridge (feature `product`) |
//! | [`needles`] | finds secrets in text, in any encoding |
//! | [`ports`] | free ports for other processes |
//! | [`python`] | the Python environment of `make test-tools` |
//!
//! A helper panics where a test would fail.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

pub mod boto;
pub mod emulator;
pub mod fake_dynamodb;
#[cfg(feature = "product")]
pub mod fleets;
#[cfg(feature = "functions")]
pub mod functions;
#[cfg(feature = "product")]
pub mod lambda_event;
pub mod moto;
pub mod needles;
pub mod ports;
pub mod python;
#[cfg(feature = "product")]
pub mod sqs;
#[cfg(feature = "product")]
pub mod stages;
pub mod stub_server;
#[cfg(feature = "product")]
pub mod task_events;
