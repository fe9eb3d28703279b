//! Operations on queues: create, find, list, change, empty, delete.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::account::{Account, COOL_DOWN, Queue};
use super::request::{self, OfQueue};
use super::settings::{self, Settings};
use super::{errors, names, tags};
use crate::error::AwsError;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// The one member of the protocol that starts with a small letter.
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetUrl {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    queue_name_prefix: Option<String>,
    queue_url: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAttributes {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributes {
    queue_url: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

impl Account {
    pub(super) fn create_queue(&mut self, ask: Create, now: Duration) -> Result<Value, AwsError> {
        let name = request::required(ask.queue_name, "QueueName")?;
        names::check(&name)?;
        let url = self.home.url(&name);
        if let Some(queue) = self.queues.get(&name) {
            return match queue.settings.conflict(&ask.attributes)? {
                Some(attribute) => Err(errors::queue_name_exists(attribute)),
                None => Ok(json!({ "QueueUrl": url })),
            };
        }
        self.deleted.retain(|_, deleted| now < *deleted + COOL_DOWN);
        if self.deleted.contains_key(&name) {
            return Err(errors::queue_deleted_recently());
        }
        let settings = Settings::default().with(&ask.attributes)?;
        self.check_dead_letters(&settings, &self.home.arn(&name))?;
        let tags = tags::merged(&BTreeMap::new(), ask.tags)?;
        self.add_queue(&name, settings, tags, now);
        Ok(json!({ "QueueUrl": url }))
    }

    /// Whether the dead-letter queue of the settings exists and accepts dead letters from `source`.
    fn check_dead_letters(&self, settings: &Settings, source: &str) -> Result<(), AwsError> {
        let Some(redrive) = &settings.redrive else { return Ok(()) };
        let wrong = |reason: &str| errors::invalid_value(redrive.text(), "RedrivePolicy", reason);
        let target = &redrive.dead_letter_target_arn;
        if target == source {
            return Err(wrong("Dead-letter queue must not be the source queue itself."));
        }
        let name = self.home.name_in_arn(target);
        let queue = name.and_then(|name| self.queues.get(name));
        let queue = queue.ok_or_else(|| wrong("Dead letter target does not exist."))?;
        if queue.settings.allow.as_ref().is_some_and(|allow| !allow.admits(source)) {
            return Err(wrong(
                "The redrive allow policy of the dead letter target does not admit this queue.",
            ));
        }
        Ok(())
    }

    pub(super) fn get_queue_url(&self, ask: GetUrl) -> Result<Value, AwsError> {
        let name = request::required(ask.queue_name, "QueueName")?;
        let ours = ask.owner.is_none_or(|owner| self.home.is_account(&owner));
        if !ours || !self.queues.contains_key(&name) {
            return Err(errors::queue_does_not_exist());
        }
        Ok(json!({ "QueueUrl": self.home.url(&name) }))
    }

    pub(super) fn list_queues(&self, ask: &List) -> Result<Value, AwsError> {
        let prefix = ask.queue_name_prefix.as_deref().unwrap_or_default();
        let names = self.queues.keys().map(String::as_str).filter(|name| name.starts_with(prefix));
        self.listed(names, ask, "QueueUrls")
    }

    pub(super) fn list_dead_letter_source_queues(&self, ask: &List) -> Result<Value, AwsError> {
        let name = self.home.name_in_url(request::url(ask.queue_url.as_ref())?)?;
        let queue = self.queues.get(name).ok_or_else(errors::queue_does_not_exist)?;
        let mut answer = self.listed(self.sources_of(&queue.arn), ask, "queueUrls")?;
        // Unlike the list of queues this member is required, so it is there even when empty.
        if let Value::Object(members) = &mut answer {
            members.entry("queueUrls").or_insert_with(|| json!([]));
        }
        Ok(answer)
    }

    fn listed<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        ask: &List,
        member: &str,
    ) -> Result<Value, AwsError> {
        let token = ask.next_token.as_deref().map(read_token).transpose()?;
        let (page, next) = request::page(names, token.as_deref(), ask.max_results)?;
        let mut answer = Map::new();
        if !page.is_empty() {
            let urls: Vec<String> = page.into_iter().map(|name| self.home.url(name)).collect();
            answer.insert(member.to_owned(), json!(urls));
        }
        if let Some(next) = next {
            answer.insert("NextToken".to_owned(), json!(BASE64_STANDARD.encode(next)));
        }
        Ok(answer.into())
    }

    pub(super) fn delete_queue(&mut self, ask: &OfQueue, now: Duration) -> Result<Value, AwsError> {
        let url = request::url(ask.queue_url.as_ref())?;
        let name = self.home.name_in_url(url)?.to_owned();
        let queue = self.queues.remove(&name).ok_or_else(errors::queue_does_not_exist)?;
        queue.wake.notify_waiters();
        self.moves.forget(&queue.arn);
        self.deleted.insert(name, now);
        Ok(json!({}))
    }

    pub(super) fn purge_queue(&mut self, ask: &OfQueue, now: Duration) -> Result<Value, AwsError> {
        let url = request::url(ask.queue_url.as_ref())?;
        let name = self.home.name_in_url(url)?.to_owned();
        let queue = self.queue(url, now)?;
        if queue.purged.is_some_and(|purged| now < purged + COOL_DOWN) {
            return Err(errors::purge_in_progress(&name));
        }
        queue.purged = Some(now);
        queue.store.clear();
        Ok(json!({}))
    }

    pub(super) fn set_queue_attributes(
        &mut self,
        ask: SetAttributes,
        now: Duration,
    ) -> Result<Value, AwsError> {
        let url = request::url(ask.queue_url.as_ref())?;
        let changes = request::required(ask.attributes, "Attributes")?;
        let queue = self.queue(url, now)?;
        let (settings, arn) = (queue.settings.with(&changes)?, queue.arn.clone());
        // Only a new policy is checked: one from before holds even where its dead-letter queue is gone by now.
        if changes.contains_key("RedrivePolicy") {
            self.check_dead_letters(&settings, &arn)?;
        }
        let queue = self.queue(url, now)?;
        (queue.settings, queue.modified) = (settings, now);
        Ok(json!({}))
    }

    pub(super) fn get_queue_attributes(
        &mut self,
        ask: &GetAttributes,
        now: Duration,
    ) -> Result<Value, AwsError> {
        let queue = self.queue(request::url(ask.queue_url.as_ref())?, now)?;
        let all = ask.attribute_names.iter().any(|name| name == "All");
        for name in ask.attribute_names.iter().map(String::as_str) {
            let known = name == "All" || settings::NAMES.contains(&name) || STATE_NAMES.contains(&name);
            if !known && !settings::is_fifo_only(name) {
                return Err(errors::unknown_attribute(name));
            }
        }
        let wanted = |name: &&str| all || ask.attribute_names.iter().any(|asked| asked == name);
        let attributes: BTreeMap<&str, String> = settings::NAMES
            .into_iter()
            .chain(STATE_NAMES)
            .filter(wanted)
            .filter_map(|name| {
                queue.settings.get(name).or_else(|| queue.state(name)).map(|value| (name, value))
            })
            .collect();
        Ok(if attributes.is_empty() { json!({}) } else { json!({ "Attributes": attributes }) })
    }
}

/// The attributes with a queue's state.
const STATE_NAMES: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

impl Queue {
    fn state(&self, name: &str) -> Option<String> {
        let counts = self.store.counts();
        Some(match name {
            "ApproximateNumberOfMessages" => counts.visible.to_string(),
            "ApproximateNumberOfMessagesNotVisible" => counts.in_flight.to_string(),
            "ApproximateNumberOfMessagesDelayed" => counts.delayed.to_string(),
            "CreatedTimestamp" => self.created.as_secs().to_string(),
            "LastModifiedTimestamp" => self.modified.as_secs().to_string(),
            "QueueArn" => self.arn.to_string(),
            _ => return None,
        })
    }
}

fn read_token(token: &str) -> Result<String, AwsError> {
    let name = BASE64_STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| errors::invalid_parameter("Invalid NextToken value."))
}
