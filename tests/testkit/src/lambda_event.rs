//! The event that Lambda's event source mapping passes to a function.
//!
//! Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use serde_json::{Map, Value, json};

/// Returns the event with these messages.
pub fn of(messages: &[Message]) -> Value {
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

fn record(message: &Message) -> Value {
    let system: Map<_, _> = message
        .attributes
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(value.as_str())))
        .collect();
    let attribute = |(name, value): (&String, &MessageAttributeValue)| {
        let value = json!({
            "stringValue": value.string_value, "stringListValues": [], "binaryListValues": [], "dataType": "String",
        });
        (name.clone(), value)
    };
    let attributes: Map<_, _> = message.message_attributes.iter().flatten().map(attribute).collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": system,
        "messageAttributes": attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:source",
        "awsRegion": "us-east-1",
    })
}
