//! The binary from outside: arguments and environment in; exit code, stdout and stderr out, all of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod check;
mod demo;
mod help;
mod keygen;
mod ledger;
mod live;
mod moto;
mod plan;
mod publish;
mod receivers;
mod send;
mod serve;
mod settings;
mod simulate;
mod support;
mod terminal;
