//! Operations on the tags of queues, which mean nothing to SQS itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::errors;
use super::request::{self, OfQueue};
use crate::error::AwsError;

/// Most tags of one queue.
const TAGS_MAX: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    queue_url: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Untag {
    queue_url: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Account {
    pub(super) fn tag_queue(&mut self, ask: Tag, now: Duration) -> Result<Value, AwsError> {
        let tags = request::required(ask.tags.filter(|tags| !tags.is_empty()), "Tags")?;
        let queue = self.queue(request::url(ask.queue_url.as_ref())?, now)?;
        queue.tags = merged(&queue.tags, tags)?;
        Ok(json!({}))
    }

    pub(super) fn untag_queue(&mut self, ask: Untag, now: Duration) -> Result<Value, AwsError> {
        let keys = request::required(ask.tag_keys.filter(|keys| !keys.is_empty()), "TagKeys")?;
        let queue = self.queue(request::url(ask.queue_url.as_ref())?, now)?;
        queue.tags.retain(|key, _| !keys.contains(key));
        Ok(json!({}))
    }

    pub(super) fn list_queue_tags(&mut self, ask: &OfQueue, now: Duration) -> Result<Value, AwsError> {
        let queue = self.queue(request::url(ask.queue_url.as_ref())?, now)?;
        Ok(if queue.tags.is_empty() { json!({}) } else { json!({ "Tags": queue.tags }) })
    }
}

/// The tags of a queue with more of them, or with other values.
pub(super) fn merged(
    old: &BTreeMap<String, String>,
    new: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, AwsError> {
    let mut tags = old.clone();
    tags.extend(new);
    if tags.len() > TAGS_MAX {
        return Err(errors::invalid_parameter(format!("A queue can have at most {TAGS_MAX} tags.")));
    }
    Ok(tags)
}
