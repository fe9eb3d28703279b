//! Metrics of this process, counted from its progress events, and the export of its traces.
//!
//! | file | job |
//! | --- | --- |
//! | [`Metrics`] | observes the progress events of a process, and writes its metrics |
//! | `tally` | what was counted so far (pure) |
//! | `broadcasts` | how long broadcasts take (pure) |
//! | `histogram` | durations in buckets (pure) |
//! | `prometheus` | the text format of Prometheus (pure) |
//! | `families` | the metrics by name (pure) |
//! | [`emf`] | `CloudWatch`'s embedded metric format (pure) |
//! | [`RegistryGauges`] | how many tasks the registry has, and how old it is |
//! | [`QueueDepths`] | how many messages are on the queues |
//! | [`Traces`] | the export of spans to a collector, if the settings name one |
//! | `otlp` | spans in OTLP (pure), and the requests to the collector |
//!
//! The stages have no counters. [`Metrics`] is an observer of the progress stream: it is called for every event, so it
//! misses none, and it costs less than waking a listener's thread for each delivery.

mod broadcasts;
mod depths;
pub mod emf;
mod families;
mod histogram;
mod metrics;
#[cfg(feature = "otel")]
mod otlp;
mod prometheus;
mod registry;
mod tally;
mod traces;

pub use depths::{QueueDepth, QueueDepths};
pub use metrics::{Metrics, MetricsSources};
pub use registry::RegistryGauges;
pub use tally::Tally;
pub use traces::Traces;
