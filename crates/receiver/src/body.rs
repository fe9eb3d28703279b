//! Reads a request's body within limits of size, time and memory.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::refusal::Refusal;

/// The limits for reading a body.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The maximum size of one body.
    pub bytes: usize,
    /// The maximum time until a body is complete.
    pub time: Duration,
    /// The memory for all bodies together: one permit per byte.
    pub memory: Arc<Semaphore>,
}

/// A body and the memory permits that it holds.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    pub bytes: Bytes,
    pub memory: Option<OwnedSemaphorePermit>,
}

/// Reads the whole body.
///
/// Permits are acquired for the bytes that arrive, not for the announced length: an attacker must send the bytes to use
/// up the memory.
pub(crate) async fn read<B: Body>(body: B, limits: &Limits) -> Result<ReceivedBody, Refusal> {
    if body.size_hint().lower() > limits.bytes as u64 {
        return Err(Refusal::TooLarge(limits.bytes));
    }
    timeout(limits.time, collect(body, limits)).await.unwrap_or(Err(Refusal::TooSlow(limits.time)))
}

async fn collect<B: Body>(body: B, limits: &Limits) -> Result<ReceivedBody, Refusal> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let mut memory: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        // Trailers are ignored, because they are not signed.
        let Ok(mut data) = frame.map_err(|_| Refusal::Interrupted)?.into_data() else { continue };
        if data.remaining() > limits.bytes - bytes.len() {
            return Err(Refusal::TooLarge(limits.bytes));
        }
        let permits = u32::try_from(data.remaining()).map_err(|_| Refusal::TooLarge(limits.bytes))?;
        let more = Arc::clone(&limits.memory).try_acquire_many_owned(permits).map_err(|_| Refusal::Busy)?;
        match &mut memory {
            Some(memory) => memory.merge(more),
            None => memory = Some(more),
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            bytes.extend_from_slice(chunk);
            let read = chunk.len();
            data.advance(read);
        }
    }
    Ok(ReceivedBody { bytes: bytes.into(), memory })
}
