//! Stage 3 black-box: real deliveries to servers on loopback, checked by the requests that they received.

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
