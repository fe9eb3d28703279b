//! Worlds drawn from seeds in which everything goes wrong, and what must be true of each at its end.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, in its helpers too, and says what it did"
)]

mod direct;
mod direct_tests;
#[path = "../support/emulator.rs"]
mod emulator;
#[path = "../support/fake_dynamodb.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod fake;
mod fleet;
mod invariants;
mod kept;
mod kill;
mod lane;
mod ministack;
#[path = "../support/needles.rs"]
mod needles;
mod notes;
mod parts;
mod queues;
mod run;
mod runs;
mod script;
mod secrets;
mod seeds;
mod store;
mod stranger;
mod trouble;
mod world;
