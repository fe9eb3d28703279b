//! Basics for every other module, independent of ECS: time, random numbers, text, backoff, batches, traces.

pub mod backoff;
pub mod batcher;
pub(crate) mod causes;
mod clock;
mod environment;
pub mod events;
mod fnv;
pub mod input;
mod process;
mod rng;
mod span_of_time;
pub mod spans;
pub mod text;
pub mod trace;
pub mod url;
mod words;

pub use backoff::Backoff;
pub use clock::Clock;
pub use environment::Environment;
pub(crate) use fnv::fnv1a;
pub use process::open_files_max;
pub use rng::{Rng, key_bytes};
pub use span_of_time::{parse_seconds, parse_time, time};
pub(crate) use words::words;
