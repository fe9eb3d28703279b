//! Stage 3 from outside: real deliveries to real servers on loopback, judged by what the servers saw.

#![recursion_limit = "256"]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod deadlines;
mod fanout;
mod hostile;
mod outcomes;
mod requests;
mod rotation;
mod secured;
mod server;
mod signed;
mod support;
