//! Receipt handles: what a consumer must show to delete a message or to change its visibility.
//!
//! A handle says which receive of which message it stands for, so nothing has to be kept for old ones. Like AWS's it is
//! opaque text; a digest inside detects a damaged or fake handle.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use super::errors;
use crate::error::AwsError;

/// One receive of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Which queue, counted over all that ever were: a queue created again under its old name is another one.
    pub(super) queue: u64,
    /// Which message of that queue.
    pub(super) key: u64,
    /// Which receive of that message, from 1.
    pub(super) receive: u32,
}

/// Bytes of the numbers, which the digest follows.
const NUMBERS: usize = 20;

impl Receipt {
    pub(super) fn handle(&self) -> String {
        let mut bytes = Vec::with_capacity(NUMBERS + 16);
        bytes.extend(self.queue.to_be_bytes());
        bytes.extend(self.key.to_be_bytes());
        bytes.extend(self.receive.to_be_bytes());
        bytes.extend(Md5::digest(&bytes));
        BASE64_STANDARD.encode(bytes)
    }

    /// Reads a handle that `queue` gave out.
    pub(super) fn read(handle: &str, queue: u64) -> Result<Self, AwsError> {
        Self::decode(handle)
            .filter(|receipt| receipt.queue == queue)
            .ok_or_else(|| errors::invalid_receipt(handle))
    }

    fn decode(handle: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(handle).ok()?;
        let (numbers, digest) = bytes.split_at_checked(NUMBERS)?;
        if Md5::digest(numbers).as_slice() != digest {
            return None;
        }
        let (queue, rest) = numbers.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (receive, _) = rest.split_first_chunk()?;
        Some(Self {
            queue: u64::from_be_bytes(*queue),
            key: u64::from_be_bytes(*key),
            receive: u32::from_be_bytes(*receive),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_read_back_by_its_own_queue_only() {
        let receipt = Receipt { queue: 3, key: 77, receive: 2 };
        assert_eq!(Receipt::read(&receipt.handle(), 3), Ok(receipt));
        assert!(Receipt::read(&receipt.handle(), 4).is_err());
    }

    #[test]
    fn invented_handles_are_refused() {
        let shortened = Receipt { queue: 3, key: 77, receive: 2 }.handle().split_off(4);
        for handle in ["", "garbage", "AAAA", &shortened, &BASE64_STANDARD.encode([0; 36])] {
            assert_eq!(Receipt::read(handle, 3).expect_err(handle).code, "ReceiptHandleIsInvalid");
        }
    }
}
