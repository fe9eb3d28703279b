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

/// How much of a body is accepted, and how long it may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of one body.
    pub bytes: usize,
    /// Until a body is complete.
    pub time: Duration,
    /// Bytes of all bodies that are held at the same time, one permit each.
    pub room: Arc<Semaphore>,
}

/// A body, and the room that it takes for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub bytes: Bytes,
    pub room: Option<OwnedSemaphorePermit>,
}

/// Reads the whole body.
///
/// Room is taken as bytes arrive, not as they are announced: whoever wants to use it up has to send them.
pub(crate) async fn read<B: Body>(body: B, limits: &Limits) -> Result<Held, Refusal> {
    if body.size_hint().lower() > limits.bytes as u64 {
        return Err(Refusal::TooLarge(limits.bytes));
    }
    timeout(limits.time, collect(body, limits)).await.unwrap_or(Err(Refusal::TooSlow(limits.time)))
}

async fn collect<B: Body>(body: B, limits: &Limits) -> Result<Held, Refusal> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        // Trailers say nothing that is signed.
        let Ok(mut data) = frame.map_err(|_| Refusal::BrokenOff)?.into_data() else { continue };
        if data.remaining() > limits.bytes - bytes.len() {
            return Err(Refusal::TooLarge(limits.bytes));
        }
        let permits = u32::try_from(data.remaining()).map_err(|_| Refusal::TooLarge(limits.bytes))?;
        let more = Arc::clone(&limits.room).try_acquire_many_owned(permits).map_err(|_| Refusal::Busy)?;
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            bytes.extend_from_slice(chunk);
            let read = chunk.len();
            data.advance(read);
        }
    }
    Ok(Held { bytes: bytes.into(), room })
}
