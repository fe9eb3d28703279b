//! Parses the records of an event source mapping. Pure.

use aws_lambda_events::sqs::SqsMessage;
use notifier::queue::{Message, Receipt};
use serde::Deserialize;
use serde_json::value::RawValue;

/// An invocation's payload with raw records: an invalid one must not fail the others.
#[derive(Debug, Deserialize)]
pub struct Batch {
    /// The records, one message each.
    #[serde(rename = "Records")]
    pub records: Vec<Box<RawValue>>,
}

/// A record without a message id: the answer cannot name it, so the whole batch must be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("record {index} of the batch has no message id")]
pub struct Nameless {
    /// Its index in the batch, from 0.
    pub index: usize,
    /// The error.
    pub source: serde_json::Error,
}

/// One record.
#[derive(Debug)]
pub enum Read {
    /// A valid record.
    Whole(Box<Message>),
    /// An invalid record with a message id. It is returned, and SQS moves it to the dead letters in the end.
    Strange {
        /// The message id.
        id: String,
        /// The error.
        error: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "messageId")]
    id: String,
}

/// Reads one record.
///
/// # Errors
///
/// [`Nameless`], if its message id cannot be read.
pub fn read(index: usize, raw: &RawValue) -> Result<Read, Nameless> {
    let named = |source| Nameless { index, source };
    let Named { id } = serde_json::from_str(raw.get()).map_err(named)?;
    if id.is_empty() {
        return Err(named(serde::de::Error::custom("it is empty")));
    }
    Ok(match whole(&id, raw) {
        Ok(message) => Read::Whole(Box::new(message)),
        Err(error) => Read::Strange { id, error },
    })
}

fn whole(id: &str, raw: &RawValue) -> Result<Message, serde_json::Error> {
    let record: SqsMessage = serde_json::from_str(raw.get())?;
    let receipt = record.receipt_handle.ok_or_else(|| serde::de::Error::missing_field("receiptHandle"))?;
    let text = record.message_attributes.into_iter();
    let text = text.filter_map(|(name, value)| Some((name, value.string_value?))).collect();
    let body = record.body.unwrap_or_default();
    let message = Message::parse(id.to_owned(), body, &record.attributes, &text);
    Ok(Message { receipt: Receipt::new(&receipt), ..message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    /// The example of the AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", with a message attribute.
    const DOCUMENTED: &str = r#"{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
        "body": "Test message.",
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185"
        },
        "messageAttributes": {
            "traceparent": {"stringValue": "00-a-b-01", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
        "awsRegion": "us-east-2"
    }"#;

    #[test]
    fn the_documented_record_is_read_whole() {
        let Ok(Read::Whole(message)) = read(0, &raw(DOCUMENTED)) else { panic!("not read") };
        assert_eq!(message.message_id, "059f36b4-87a3-44ab-83d2-661975830a7d");
        assert_eq!(message.receipt.handle(), "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...");
        assert_eq!(message.body, "Test message.");
        assert_eq!(message.receives, 1);
        assert_eq!(message.queued.unix_timestamp_nanos(), 1_545_082_649_183_000_000);
        assert_eq!(message.sender.as_deref(), Some("AIDAIENQZJOLO23YVJ4VO"));
        assert_eq!(message.trace.parent.as_deref(), Some("00-a-b-01"));
    }

    #[test]
    fn a_strange_record_keeps_its_name() {
        for json in [r#"{"messageId":"m"}"#, r#"{"messageId":"m","receiptHandle":"r","attributes":7}"#] {
            let Ok(Read::Strange { id, .. }) = read(0, &raw(json)) else { panic!("{json}") };
            assert_eq!(id, "m");
        }
    }

    #[test]
    fn a_record_without_a_name_is_an_error_that_says_which() {
        for json in ["{}", "7", r#"{"messageId":""}"#, r#"{"messageId":null}"#] {
            assert_eq!(
                read(3, &raw(json)).unwrap_err().to_string(),
                "record 3 of the batch has no message id"
            );
        }
    }
}
