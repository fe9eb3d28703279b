//! Random worlds with many faults, drawn from seeds, and the invariants at the end of each.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, in its helpers too, and says what it did"
)]

mod direct;
mod direct_tests;
mod fleet;
mod invariants;
mod kept;
mod kill;
mod lane;
mod ministack;
mod notes;
mod paced;
mod parts;
mod process;
mod queues;
mod run;
mod runs;
mod script;
mod secrets;
mod seeds;
mod store;
mod stranger;
mod trouble;
mod waves;
mod waves_tests;
mod world;
