//! A DynamoDB stream: puts each record on the observer queue, and answers with the record to start again from.
//!
//! Stage 1 reads the records there, as it reads those of EventBridge Pipes.

use notifier::base::text::chain;
use notifier::queue::{PublishError, Queue, Trace};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::record::Batch;

/// The answer to a stream's event source mapping. It starts again from the first failed record, so no other is named.
///
/// Source: AWS Lambda Developer Guide, "Configuring partial batch response with DynamoDB and Lambda".
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamResponse {
    /// The first record that is not on the queue.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failed>,
}

/// A record that is not on the queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its sequence number.
    #[serde(rename = "itemIdentifier")]
    pub sequence_number: String,
}

/// A record without a sequence number: the answer cannot name it, so the whole batch must be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("record {index} of the stream is not on the queue, and has no sequence number")]
pub struct Unnamed {
    /// Its index in the batch, from 0.
    pub index: usize,
    source: serde_json::Error,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "SequenceNumber")]
    sequence_number: String,
}

/// Puts each record of a batch on the queue as a message of its own.
///
/// Records after the first failed one may be on the queue too, and come again: their events keep their ids.
///
/// # Errors
///
/// [`Unnamed`], if the first failed record has no sequence number.
pub async fn forward(batch: &Batch, observer: &Queue) -> Result<StreamResponse, Unnamed> {
    let bodies: Vec<String> = batch.records.iter().map(|record| record.get().to_owned()).collect();
    let Err(failure) = observer.publish(&bodies, &Trace::default()).await else {
        return Ok(StreamResponse::default());
    };
    error!(error = chain(&failure), "Some records of the stream are not on the observer queue");
    first_failed(batch, &failure)
}

/// Names the first record that was not accepted.
fn first_failed(batch: &Batch, failure: &PublishError) -> Result<StreamResponse, Unnamed> {
    let Some(index) = failure.refused.iter().map(|refused| refused.index).min() else {
        return Ok(StreamResponse::default());
    };
    let record = batch.records.get(index).map_or("null", |record| record.get());
    let Record { dynamodb: Change { sequence_number } } =
        serde_json::from_str(record).map_err(|source| Unnamed { index, source })?;
    Ok(StreamResponse { failures: vec![Failed { sequence_number }] })
}

#[cfg(test)]
mod tests {
    use notifier::queue::{EntryError, NotAccepted};

    use super::*;

    fn batch(records: &str) -> Batch {
        serde_json::from_str(&format!("{{\"Records\":[{records}]}}")).unwrap()
    }

    fn refused(indexes: &[usize]) -> PublishError {
        let one = |&index| NotAccepted { index, error: EntryError::Unmentioned };
        PublishError { queue: "q".to_owned(), offered: 3, refused: indexes.iter().map(one).collect() }
    }

    #[test]
    fn the_stream_starts_again_from_the_first_record_that_is_not_on_the_queue() {
        let batch = batch(
            r#"{"dynamodb":{"SequenceNumber":"1"}},{"dynamodb":{"SequenceNumber":"2"}},{"dynamodb":{"SequenceNumber":"3"}}"#,
        );
        let answer = first_failed(&batch, &refused(&[2, 1])).unwrap();
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#
        );
        let all = StreamResponse::default();
        assert_eq!(serde_json::to_string(&all).unwrap(), r#"{"batchItemFailures":[]}"#);
    }

    #[test]
    fn a_failed_record_without_a_sequence_number_fails_the_batch() {
        let batch = batch("{},7");
        let error = first_failed(&batch, &refused(&[1])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "record 1 of the stream is not on the queue, and has no sequence number"
        );
    }
}
