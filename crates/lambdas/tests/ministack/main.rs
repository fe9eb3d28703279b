//! The functions against MiniStack, which others wrote: its queues, its table, its rules. The simulator answers for ECS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod registry;
mod rollout;
mod sources;
mod world;
