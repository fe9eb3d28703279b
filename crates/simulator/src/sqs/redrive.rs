//! Redrive policies: the dead-letter queue of a queue, and which queues may use a dead-letter queue.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors;
use crate::error::AwsError;

/// Most source queues that a dead-letter queue may name.
const SOURCES_MAX: usize = 10;

/// `RedrivePolicy` of a source queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Redrive {
    /// ARN of the dead-letter queue.
    pub(super) dead_letter_target_arn: String,
    /// After so many receives a message is moved instead of received again.
    pub(super) max_receive_count: u32,
}

/// `RedriveAllowPolicy` of a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Allow {
    redrive_permission: Permission,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    source_queue_arns: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Permission {
    AllowAll,
    DenyAll,
    ByQueue,
}

impl Redrive {
    pub(super) fn read(text: &str) -> Result<Self, AwsError> {
        let wrong = |reason: String| errors::invalid_value(text, "RedrivePolicy", reason);
        let policy: Value =
            serde_json::from_str(text).map_err(|_| wrong("Redrive policy is not valid JSON.".to_owned()))?;
        let target = policy.get("deadLetterTargetArn").and_then(Value::as_str).ok_or_else(|| {
            wrong("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.".to_owned())
        })?;
        let count = policy.get("maxReceiveCount").ok_or_else(|| {
            wrong("Redrive policy does not contain mandatory attribute: maxReceiveCount.".to_owned())
        })?;
        // AWS takes the count as a number or as a string, and always answers a number.
        let number = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        let max_receive_count = number
            .filter(|count| (1..=1000).contains(count))
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| {
                wrong(format!(
                    "Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
                ))
            })?;
        Ok(Self { dead_letter_target_arn: target.to_owned(), max_receive_count })
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Allow {
    pub(super) fn read(text: &str) -> Result<Self, AwsError> {
        let wrong = |reason: &str| errors::invalid_value(text, "RedriveAllowPolicy", reason);
        let policy: Self = serde_json::from_str(text)
            .map_err(|_| wrong("Amazon SQS can't create the redrive allow policy."))?;
        let by_queue = policy.redrive_permission == Permission::ByQueue;
        if by_queue == policy.source_queue_arns.is_empty() {
            return Err(wrong("sourceQueueArns goes with the redrivePermission byQueue, and only with it."));
        }
        if policy.source_queue_arns.len() > SOURCES_MAX {
            return Err(wrong("At most 10 source queue ARNs can be given."));
        }
        Ok(policy)
    }

    /// Whether the queue with this ARN may use the policy's queue for its dead letters.
    pub(super) fn admits(&self, source: &str) -> bool {
        match self.redrive_permission {
            Permission::AllowAll => true,
            Permission::DenyAll => false,
            Permission::ByQueue => self.source_queue_arns.iter().any(|arn| arn == source),
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: &str = "arn:aws:sqs:eu-west-1:111122223333:dead";

    #[test]
    fn the_count_may_be_a_string_and_comes_back_as_a_number() {
        let text = format!(r#"{{"maxReceiveCount":"42","deadLetterTargetArn":"{DEAD}"}}"#);
        let policy = Redrive::read(&text).expect("valid");
        assert_eq!(policy.text(), format!(r#"{{"deadLetterTargetArn":"{DEAD}","maxReceiveCount":42}}"#));
    }

    #[test]
    fn a_redrive_policy_is_complete_and_in_range() {
        for wrong in [
            "",
            "[]",
            r#"{"deadLetterTargetArn":"x"}"#,
            r#"{"maxReceiveCount":3}"#,
            r#"{"deadLetterTargetArn":"x","maxReceiveCount":0}"#,
            r#"{"deadLetterTargetArn":"x","maxReceiveCount":1001}"#,
            r#"{"deadLetterTargetArn":"x","maxReceiveCount":"many"}"#,
        ] {
            assert_eq!(Redrive::read(wrong).expect_err(wrong).code, "InvalidParameterValueException");
        }
    }

    #[test]
    fn an_allow_policy_admits_all_none_or_those_it_names() {
        let admits = |text: &str| Allow::read(text).map(|policy| policy.admits("arn:a"));
        assert_eq!(admits(r#"{"redrivePermission":"allowAll"}"#), Ok(true));
        assert_eq!(admits(r#"{"redrivePermission":"denyAll"}"#), Ok(false));
        assert_eq!(admits(r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:a"]}"#), Ok(true));
        assert_eq!(admits(r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:b"]}"#), Ok(false));
        for wrong in [
            "{}",
            r#"{"redrivePermission":"some"}"#,
            r#"{"redrivePermission":"byQueue"}"#,
            r#"{"redrivePermission":"denyAll","sourceQueueArns":["arn:a"]}"#,
        ] {
            assert!(admits(wrong).is_err(), "{wrong}");
        }
    }
}
