//! What a Rust service adds to accept the events of ecs-task-notifier.
//!
//! For now, the part that every framework needs: [`accept`] reads a request's body, and refuses what is not for this task.
//! It does not verify signatures yet, because the notifier does not sign yet.
//!
//! ```
//! let body = br#"{"specversion":"1.0","id":"b-1","source":"/cron","type":"com.example.cache.clear",
//!     "time":"2026-11-24T09:30:00Z","ecstask":"arn:aws:ecs:eu-west-1:111122223333:task/prod/0f3a"}"#;
//! let envelope = receiver::accept(body, "arn:aws:ecs:eu-west-1:111122223333:task/prod/0f3a")?;
//! assert_eq!(envelope.event.kind(), "com.example.cache.clear");
//! # Ok::<(), receiver::Refusal>(())
//! ```

use http::StatusCode;
pub use wire::Envelope;

/// Why a request is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is no event.
    #[error("the body is not a CloudEvent in JSON")]
    NoEvent(#[from] serde_json::Error),
    /// The event is for another task: this one took over its address.
    #[error("the event is for task {0}")]
    Misdirected(String),
}

impl Refusal {
    /// The status to answer with, as the notifier understands it: 421 says that another task answers here, 400 that the
    /// event will never be accepted.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoEvent(_) => StatusCode::BAD_REQUEST,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
        }
    }
}

/// Reads the body of a request to the Notify API of the task with this ARN.
///
/// A task learns its own ARN from the task metadata endpoint: `TaskARN` in the answer to
/// `$ECS_CONTAINER_METADATA_URI_V4/task`. Drop an event whose [`delivery_id`](Envelope::delivery_id) was seen before:
/// the notifier delivers at least once.
///
/// # Errors
///
/// [`Refusal`], with the status to answer.
pub fn accept(body: &[u8], task: &str) -> Result<Envelope, Refusal> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    if envelope.audience.task == task {
        Ok(envelope)
    } else {
        Err(Refusal::Misdirected(envelope.audience.task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"specversion":"1.0","id":"b","source":"/s","type":"t","time":"2026-11-24T09:30:00Z","ecstask":"arn:mine"}"#;

    #[test]
    fn an_event_for_this_task_is_accepted_and_anything_else_is_refused() {
        assert!(accept(EVENT.as_bytes(), "arn:mine").is_ok());
        let status = |body: &str, task: &str| accept(body.as_bytes(), task).unwrap_err().status().as_u16();
        assert_eq!(status(EVENT, "arn:other"), 421);
        assert_eq!(status(&EVENT.replace(r#","ecstask":"arn:mine""#, ""), "arn:mine"), 421);
        assert_eq!(status("{}", "arn:mine"), 400);
        assert_eq!(status("", "arn:mine"), 400);
    }
}
