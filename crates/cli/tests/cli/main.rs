//! Black-box tests of the binary: arguments and environment in; exit code, whole stdout and whole stderr out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod ask;
mod aws;
mod cancel;
mod check;
mod clusters;
mod demo;
mod guide;
mod help;
mod hostile;
mod interrupt;
mod keygen;
mod killed;
mod ledger;
mod live;
mod logs;
mod man;
mod metrics;
mod moto;
mod pace;
mod page;
mod pipeline;
mod plan;
mod progress;
mod publish;
mod receivers;
mod redrive;
mod routes;
mod secrets;
mod send;
mod serve;
mod settings;
mod simulate;
mod support;
mod terminal;
mod traces;
mod trial;
