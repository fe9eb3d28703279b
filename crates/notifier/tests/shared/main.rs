//! What the processes of an installation share through the ledger's table: facts about task definitions and hosts, and the
//! budget of AWS requests. On a SQLite file, and on DynamoDB in independent emulators.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too; numbers of calls are small"
)]

mod budget;
mod facts;
#[path = "../ledger_store/stores.rs"]
#[allow(dead_code, reason = "the tests of the store use more of it")]
mod stores;
