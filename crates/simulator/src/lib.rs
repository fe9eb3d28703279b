//! ECS, EC2 and SQS on loopback, with AWS's own paging, throttles and failures.
//!
//! A [`Fleet`](fleet::Fleet) says what runs; a simulator answers for it on one port, over AWS's real protocols, and lets
//! the fleet's containers really listen. Nothing here knows the product or an AWS SDK: a misreading of AWS must not
//! stand on both sides of a test.

pub mod clock;
pub mod error;
pub mod faults;
pub mod sqs;

pub use error::AwsError;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even after a panic elsewhere: one failed test thread must not hide its cause behind a poisoned lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
