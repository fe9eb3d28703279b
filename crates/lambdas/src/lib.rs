//! The three stages as AWS Lambda functions on SQS event source mappings.
//!
//! | module | job |
//! | --- | --- |
//! | [`function`] | one function: settings, clients and log once, then invocation after invocation |
//! | [`batch`] | one invocation: each record by itself, and which of them go back |
//! | [`record`] | what Lambda hands over, read record by record |
//!
//! The stages themselves, what counts as final and how long a message waits are the daemon's.

pub mod batch;
pub mod function;
pub mod record;
