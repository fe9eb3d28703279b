//! The errors that SQS answers, each with both of its codes and AWS's own text.
//!
//! SQS left the query protocol, but its answers still carry the old code in a header and SDKs still show that one to
//! their users: `AWS.SimpleQueueService.NonExistentQueue` where the model says `QueueDoesNotExist`.

use std::fmt::Display;

use crate::error::AwsError;

/// Prefix of most codes of the query protocol.
const OLD: &str = "AWS.SimpleQueueService.";

/// An error whose two codes differ by the prefix only.
fn prefixed(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::client(code, message).with_query_code(format!("{OLD}{code}"))
}

/// An error with one code in both protocols.
fn plain(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::client(code, message).with_query_code(code)
}

pub(super) fn queue_does_not_exist() -> AwsError {
    AwsError::client("QueueDoesNotExist", "The specified queue does not exist.")
        .with_query_code(format!("{OLD}NonExistentQueue"))
}

pub(super) fn queue_name_exists(attribute: &str) -> AwsError {
    let message =
        format!("A queue already exists with the same name and a different value for attribute {attribute}");
    AwsError::client("QueueNameExists", message).with_query_code("QueueAlreadyExists")
}

pub(super) fn queue_deleted_recently() -> AwsError {
    prefixed(
        "QueueDeletedRecently",
        "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
    )
}

pub(super) fn purge_in_progress(queue: &str) -> AwsError {
    let message = format!("Only one PurgeQueue operation on {queue} is allowed every 60 seconds.");
    prefixed("PurgeQueueInProgress", message).with_status(403)
}

pub(super) fn unsupported(message: impl Into<String>) -> AwsError {
    prefixed("UnsupportedOperation", message)
}

pub(super) fn invalid_address(url: &str) -> AwsError {
    plain("InvalidAddress", format!("The address {url} is not valid for this endpoint."))
}

pub(super) fn unknown_attribute(name: &str) -> AwsError {
    invalid_attribute_name(format!("Unknown Attribute {name}."))
}

pub(super) fn invalid_attribute_name(message: impl Into<String>) -> AwsError {
    plain("InvalidAttributeName", message)
}

pub(super) fn invalid_attribute_value(name: &str) -> AwsError {
    plain("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

pub(super) fn missing(parameter: impl Display) -> AwsError {
    AwsError::client(
        "MissingRequiredParameterException",
        format!("The request must contain the parameter {parameter}."),
    )
    .with_query_code("MissingParameter")
}

pub(super) fn invalid_parameter(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterValueException", message).with_query_code("InvalidParameterValue")
}

/// The usual form of [`invalid_parameter`].
pub(super) fn invalid_value(value: impl Display, parameter: &str, reason: impl Display) -> AwsError {
    invalid_parameter(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

pub(super) fn invalid_contents() -> AwsError {
    plain(
        "InvalidMessageContents",
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | \
         #x10000 to #x10FFFF",
    )
}

pub(super) fn invalid_receipt(handle: &str) -> AwsError {
    plain(
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
    )
}

pub(super) fn not_in_flight() -> AwsError {
    prefixed("MessageNotInflight", "The specified message isn't in flight.")
}

pub(super) fn too_many_in_flight() -> AwsError {
    plain("OverLimit", "Too many messages in flight.").with_status(403)
}

pub(super) fn no_such_resource(message: impl Into<String>) -> AwsError {
    plain("ResourceNotFoundException", message).with_status(404)
}

pub(super) fn empty_batch(entry: &str) -> AwsError {
    prefixed("EmptyBatchRequest", format!("There should be at least one {entry} in the request."))
}

pub(super) fn too_many_entries(most: usize, sent: usize) -> AwsError {
    prefixed(
        "TooManyEntriesInBatchRequest",
        format!("Maximum number of entries per request are {most}. You have sent {sent}."),
    )
}

pub(super) fn repeated_entry_id(id: &str) -> AwsError {
    prefixed("BatchEntryIdsNotDistinct", format!("Id {id} repeated."))
}

pub(super) fn invalid_entry_id() -> AwsError {
    prefixed(
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
         letters long.",
    )
}

pub(super) fn batch_too_long(most: usize, sent: usize) -> AwsError {
    prefixed(
        "BatchRequestTooLong",
        format!("Batch requests cannot be longer than {most} bytes. You have sent {sent} bytes."),
    )
}
