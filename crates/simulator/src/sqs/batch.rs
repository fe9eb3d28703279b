//! What the three batch operations share: the rules for their entries, and an answer for each entry.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors;
use super::request;
use crate::error::AwsError;

/// Most entries of one batch.
const ENTRIES_MAX: usize = 10;

/// Longest id of an entry.
const ID_CHARS_MAX: usize = 80;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: Option<String>,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Debug, Deserialize)]
struct Entry<T> {
    #[serde(rename = "Id")]
    id: Option<String>,
    #[serde(flatten)]
    content: T,
}

/// A batch whose entries have different ids.
#[derive(Debug)]
pub(super) struct Checked<T> {
    pub(super) url: String,
    /// Each with its id.
    pub(super) entries: Vec<(String, T)>,
}

impl<T> Batch<T> {
    /// Refuses what SQS refuses as a whole; `kind` is the entry's name in its messages.
    pub(super) fn check(self, kind: &str) -> Result<Checked<T>, AwsError> {
        let url = request::url(self.queue_url.as_ref())?.to_owned();
        if self.entries.is_empty() {
            return Err(errors::empty_batch(kind));
        }
        if self.entries.len() > ENTRIES_MAX {
            return Err(errors::too_many_entries(ENTRIES_MAX, self.entries.len()));
        }
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            let id = entry.id.filter(|id| is_id(id)).ok_or_else(errors::invalid_entry_id)?;
            if !seen.insert(id.clone()) {
                return Err(errors::repeated_entry_id(&id));
            }
            entries.push((id, entry.content));
        }
        Ok(Checked { url, entries })
    }
}

fn is_id(id: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().all(legal)
}

/// The answer to a batch: it succeeds as a call whatever becomes of its entries.
#[derive(Debug, Default)]
pub(super) struct Results {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Results {
    /// Adds the end of one entry; `result` has the members of its answer, to which the id is added.
    pub(super) fn add(&mut self, id: &str, result: Result<Value, AwsError>) {
        match result {
            Ok(mut answer) => {
                if let Value::Object(members) = &mut answer {
                    members.insert("Id".to_owned(), json!(id));
                }
                self.successful.push(answer);
            }
            Err(error) => self.failed.push(json!({
                "Id": id,
                "SenderFault": error.is_senders(),
                "Code": error.query_code.as_ref().unwrap_or(&error.code),
                "Message": error.message,
            })),
        }
    }

    /// The whole answer. AWS leaves an empty list out, and so must clients be able to read it.
    pub(super) fn answer(self) -> Value {
        let mut answer = serde_json::Map::new();
        for (name, list) in [("Successful", self.successful), ("Failed", self.failed)] {
            if !list.is_empty() {
                answer.insert(name.to_owned(), list.into());
            }
        }
        answer.into()
    }
}
