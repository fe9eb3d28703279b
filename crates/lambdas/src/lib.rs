//! The stages as AWS Lambda functions on SQS event source mappings, and a function on a DynamoDB stream.
//!
//! | module | job |
//! | --- | --- |
//! | [`function`] | one function: sets up settings, clients and log once, then handles invocations |
//! | [`batch`] | one invocation: processes each record, and returns the failed ones |
//! | [`metrics`] | the metrics of a function, written to its log |
//! | [`stream`] | puts the records of a DynamoDB stream on the observer queue |
//! | [`record`] | parses the records of an event |
//!
//! Stages, final failures and backoff are the same as in the daemon.

pub mod batch;
pub mod function;
pub mod metrics;
pub mod record;
pub mod stream;
