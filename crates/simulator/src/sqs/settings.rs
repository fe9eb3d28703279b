//! The attributes of a queue that its owner sets, with their ranges and defaults.
//!
//! Source: Amazon SQS API Reference, `CreateQueue` and `SetQueueAttributes`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::content::DELAY_SECONDS_MAX;
use super::errors;
use super::redrive::{Allow, Redrive};
use crate::error::AwsError;

/// Largest message, and largest sum of a batch, in bytes.
pub(super) const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// Longest wait of a receive that finds nothing.
pub(super) const WAIT_SECONDS_MAX: u64 = 20;

/// Longest visibility time-out.
pub(super) const VISIBILITY_SECONDS_MAX: u64 = 12 * 3600;

/// Names that are known for FIFO queues alone, each with what AWS says about it on a standard queue.
const FIFO_ONLY: [(&str, &str); 4] = [
    ("FifoQueue", "Unknown Attribute FifoQueue."),
    ("ContentBasedDeduplication", "Unknown Attribute ContentBasedDeduplication."),
    ("DeduplicationScope", "You can specify the DeduplicationScope only when FifoQueue is set to true."),
    ("FifoThroughputLimit", "You can specify the FifoThroughputLimit only when FifoQueue is set to true."),
];

/// The names that [`Settings`] knows, in the order of AWS's documentation.
pub(super) const NAMES: [&str; 11] = [
    "Policy",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
];

/// What the owner of a queue has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) visibility_s: u64,
    pub(super) message_bytes_max: u64,
    retention_s: u64,
    pub(super) delay_s: u64,
    pub(super) wait_s: u64,
    pub(super) redrive: Option<Redrive>,
    pub(super) allow: Option<Allow>,
    /// Kept and returned. The simulator has no permissions and no encryption.
    policy: Option<String>,
    kms_key: Option<String>,
    kms_reuse_s: u64,
    managed_sse: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_s: 30,
            message_bytes_max: MESSAGE_BYTES_MAX,
            retention_s: 4 * 24 * 3600,
            delay_s: 0,
            wait_s: 0,
            redrive: None,
            allow: None,
            policy: None,
            kms_key: None,
            kms_reuse_s: 300,
            managed_sse: true,
        }
    }
}

impl Settings {
    /// How long a message is kept after it was sent.
    pub(super) fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_s)
    }

    /// These settings with some changed, or what is wrong with the change.
    ///
    /// Whether a dead-letter queue exists and agrees is for the caller to see.
    pub(super) fn with(&self, changes: &BTreeMap<String, String>) -> Result<Self, AwsError> {
        let given = |name| changes.get(name).is_some_and(|value: &String| !value.is_empty());
        if given("KmsMasterKeyId") && changes.get("SqsManagedSseEnabled").is_some_and(|on| on == "true") {
            return Err(errors::invalid_attribute_name(
                "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or \
                 SQS SSE.",
            ));
        }
        let mut settings = self.clone();
        for (name, value) in changes {
            settings.set(name, value)?;
        }
        Ok(settings)
    }

    /// Sets one attribute. An empty value takes it back where that means something.
    fn set(&mut self, name: &str, value: &str) -> Result<(), AwsError> {
        if let Some((slot, range)) = self.number(name) {
            let number = value.parse().ok().filter(|number| range.contains(number));
            *slot = number.ok_or_else(|| errors::invalid_attribute_value(name))?;
            return Ok(());
        }
        let text = Some(value).filter(|value| !value.is_empty());
        match name {
            "RedrivePolicy" => self.redrive = text.map(Redrive::read).transpose()?,
            "RedriveAllowPolicy" => self.allow = text.map(Allow::read).transpose()?,
            "Policy" => {
                if text.is_some_and(|text| !serde_json::from_str(text).is_ok_and(|v: Value| v.is_object())) {
                    return Err(errors::invalid_attribute_value(name));
                }
                self.policy = text.map(str::to_owned);
            }
            "KmsMasterKeyId" => {
                self.kms_key = text.map(str::to_owned);
                self.managed_sse &= text.is_none();
            }
            "SqsManagedSseEnabled" => {
                self.managed_sse = value.parse().map_err(|_| errors::invalid_attribute_value(name))?;
                if self.managed_sse {
                    self.kms_key = None;
                }
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn number(&mut self, name: &str) -> Option<(&mut u64, RangeInclusive<u64>)> {
        Some(match name {
            "VisibilityTimeout" => (&mut self.visibility_s, 0..=VISIBILITY_SECONDS_MAX),
            "MaximumMessageSize" => (&mut self.message_bytes_max, 1024..=MESSAGE_BYTES_MAX),
            "MessageRetentionPeriod" => (&mut self.retention_s, 60..=14 * 24 * 3600),
            "DelaySeconds" => (&mut self.delay_s, 0..=DELAY_SECONDS_MAX),
            "ReceiveMessageWaitTimeSeconds" => (&mut self.wait_s, 0..=WAIT_SECONDS_MAX),
            "KmsDataKeyReusePeriodSeconds" => (&mut self.kms_reuse_s, 60..=86_400),
            _ => return None,
        })
    }

    /// The value of one attribute of [`NAMES`], as AWS writes it; `None` if it is not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match name {
            "Policy" => self.policy.clone(),
            "VisibilityTimeout" => Some(self.visibility_s.to_string()),
            "MaximumMessageSize" => Some(self.message_bytes_max.to_string()),
            "MessageRetentionPeriod" => Some(self.retention_s.to_string()),
            "DelaySeconds" => Some(self.delay_s.to_string()),
            "ReceiveMessageWaitTimeSeconds" => Some(self.wait_s.to_string()),
            "RedrivePolicy" => self.redrive.as_ref().map(Redrive::text),
            "RedriveAllowPolicy" => self.allow.as_ref().map(Allow::text),
            "KmsMasterKeyId" => self.kms_key.clone(),
            "KmsDataKeyReusePeriodSeconds" => self.kms_key.as_ref().map(|_| self.kms_reuse_s.to_string()),
            "SqsManagedSseEnabled" => Some(self.managed_sse.to_string()),
            _ => None,
        }
    }

    /// The first attribute whose value would be another one with `changes`.
    pub(super) fn conflict(
        &self,
        changes: &BTreeMap<String, String>,
    ) -> Result<Option<&'static str>, AwsError> {
        let wanted = self.with(changes)?;
        Ok(NAMES.into_iter().find(|name| changes.contains_key(*name) && self.get(name) != wanted.get(name)))
    }
}

/// The error for a name that a standard queue does not have.
fn unknown(name: &str) -> AwsError {
    match FIFO_ONLY.iter().find(|(fifo, _)| *fifo == name) {
        Some((_, message)) => errors::invalid_attribute_name(*message),
        None => errors::unknown_attribute(name),
    }
}

/// Whether the name is one of a FIFO queue: no error to ask for, and never answered.
pub(super) fn is_fifo_only(name: &str) -> bool {
    FIFO_ONLY.iter().any(|(fifo, _)| *fifo == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn code(pairs: &[(&str, &str)]) -> String {
        Settings::default().with(&changes(pairs)).expect_err("refused").code
    }

    #[test]
    fn numbers_have_ranges() {
        for (name, least, most) in [
            ("VisibilityTimeout", 0, 43_200),
            ("MaximumMessageSize", 1024, 1_048_576),
            ("MessageRetentionPeriod", 60, 1_209_600),
            ("DelaySeconds", 0, 900),
            ("ReceiveMessageWaitTimeSeconds", 0, 20),
            ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
        ] {
            for good in [least, most] {
                assert!(Settings::default().with(&changes(&[(name, &good.to_string())])).is_ok(), "{name}");
            }
            for wrong in [(least - 1).to_string(), (most + 1).to_string(), "ten".to_owned(), String::new()] {
                assert_eq!(code(&[(name, &wrong)]), "InvalidAttributeValue", "{name}={wrong}");
            }
        }
    }

    #[test]
    fn an_empty_policy_is_taken_back() {
        let policy = r#"{"Version":"2012-10-17"}"#;
        let set = Settings::default().with(&changes(&[("Policy", policy)])).expect("valid");
        assert_eq!(set.get("Policy").as_deref(), Some(policy));
        assert_eq!(set.with(&changes(&[("Policy", "")])), Ok(Settings::default()));
        assert_eq!(code(&[("Policy", "none")]), "InvalidAttributeValue");
    }

    #[test]
    fn one_kind_of_encryption_excludes_the_other() {
        let kms = Settings::default().with(&changes(&[("KmsMasterKeyId", "alias/k")])).expect("valid");
        assert_eq!(kms.get("SqsManagedSseEnabled").as_deref(), Some("false"));
        assert_eq!(kms.get("KmsDataKeyReusePeriodSeconds").as_deref(), Some("300"));
        let sqs = kms.with(&changes(&[("SqsManagedSseEnabled", "true")])).expect("valid");
        assert_eq!(sqs.get("KmsMasterKeyId"), None);
        assert_eq!(
            code(&[("KmsMasterKeyId", "alias/k"), ("SqsManagedSseEnabled", "true")]),
            "InvalidAttributeName"
        );
    }

    #[test]
    fn a_conflict_names_the_attribute() {
        let settings = Settings::default();
        assert_eq!(settings.conflict(&changes(&[("DelaySeconds", "0")])), Ok(None));
        assert_eq!(settings.conflict(&changes(&[("DelaySeconds", "1")])), Ok(Some("DelaySeconds")));
        assert_eq!(code(&[("FifoQueue", "true")]), "InvalidAttributeName");
        assert_eq!(code(&[("Colour", "red")]), "InvalidAttributeName");
    }
}
