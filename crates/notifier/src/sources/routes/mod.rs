//! Rules: which records become which broadcasts.
//!
//! A rules file is TOML with one table `[[route]]` for each rule; `docs/routes.md` describes every key. [`Routes::parse`]
//! reports all mistakes at once. A rule matches a record if its pattern matches the event in the shape of EventBridge, or the
//! whole record as it came.
//!
//! | module | what it does |
//! | --- | --- |
//! | `parse` | reads rules from TOML |
//! | `late` | reads what a rule asks for tasks that start later |
//! | `reader` | TOML values with their lines, and errors |
//! | `template` | makes the event of a broadcast from a record |
//! | `error` | mistakes in a file; why a rule cannot make a request |
//!
//! # Pointers
//!
//! A JSON pointer (RFC 6901) of a rule is looked up in the whole record first, and then in the event in the shape of
//! EventBridge. So `/s3/object/eTag` and `/detail/object/key` both work for an S3 notification; the first is the record's own
//! member, the second is decoded.

mod error;
mod late;
mod parse;
mod reader;
mod template;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use wire::id::fingerprint;
use wire::{BroadcastId, ObserverMessage, Pace, Retain};

use super::pattern::{Mismatch, Pattern};
use super::record::Record;
use template::Template;

pub use error::{RouteError, RoutesError, RuleError};

/// The largest rules file, in bytes: what every location of the setting `routes` can hold.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// The most rules.
pub const RULES_MAX: usize = 200;
/// The limits of `coalesce.window`.
pub const WINDOW_MIN: Duration = Duration::from_secs(1);
/// The limits of `coalesce.window`.
pub const WINDOW_MAX: Duration = Duration::from_secs(15 * 60);

/// The rules of a file, in order.
#[derive(Clone, Debug)]
pub struct Routes {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    name: String,
    line: usize,
    pattern: Pattern,
    scope: RuleScope,
    template: Template,
    stop: bool,
    coalesce: Option<Coalesce>,
    pace: Option<Pace>,
    cover: Option<u32>,
    retain: Option<Retain>,
}

/// Which tasks a rule notifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleScope {
    /// Names or ARNs of clusters; `*`, or an ARN with `*` as the name, means every cluster of an account and region.
    pub clusters: Vec<String>,
    /// Tags that the clusters of a `*` must have.
    pub tags: BTreeMap<String, String>,
    /// Names of services; empty: all.
    pub services: Vec<String>,
    /// Also tasks that no service started.
    pub standalone: bool,
}

/// Which events of a rule replace each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coalesce {
    /// Pointers: events with the same values at these replace each other.
    pub key: Vec<String>,
    /// Within which time.
    pub window: Duration,
}

/// What one matching rule asks for.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The name of the rule.
    pub rule: String,
    /// The broadcast; an error if the record lacks what the rule needs.
    pub request: Result<ObserverMessage, RouteError>,
    /// Which other events it replaces; `None`: none.
    pub fold: Option<Fold>,
}

/// The newest event of a key replaces the others of the same window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// A hash of the rule and of the chosen values of the record.
    pub key: String,
    /// The length of a window.
    pub window: Duration,
    /// When the event happened, in nanoseconds since 1970; 0 if the record has no time.
    pub at: i64,
}

/// What one rule decides about a record.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It matches, and asks for this.
    Matches(Box<Routed>),
    /// It does not match; this field is the first that differs.
    Differs(Mismatch),
    /// It is not asked, because this rule before it matches and has `stop`.
    Stopped(String),
}

impl Routes {
    /// Reads a rules file. `origin` names it in errors.
    pub fn parse(toml: &str, origin: &str) -> Result<Self, RoutesError> {
        parse::rules(toml, origin).map(|rules| Self { rules })
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns what the matching rules ask for, up to the first one with `stop`.
    pub fn route(&self, record: &Record) -> Vec<Routed> {
        let mut routed = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.matches(record)) {
            routed.push(rule.apply(record));
            if rule.stop {
                break;
            }
        }
        routed
    }

    /// Returns what each rule decides, in the order of the rules.
    pub fn decide(&self, record: &Record) -> Vec<Decision> {
        let mut stopped: Option<&str> = None;
        let decide = |rule| {
            if let Some(by) = stopped {
                return Decision::Stopped(by.to_owned());
            }
            if let Some(mismatch) = Rule::explain(rule, record) {
                return Decision::Differs(mismatch);
            }
            stopped = rule.stop.then_some(rule.name.as_str());
            Decision::Matches(Box::new(rule.apply(record)))
        };
        self.rules.iter().map(decide).collect()
    }
}

impl Rule {
    /// Its name, which no other rule of the file has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line of the file where it begins.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Which tasks it notifies.
    pub fn scope(&self) -> &RuleScope {
        &self.scope
    }

    /// The `type` that it gives its events; `None`: the record's.
    pub fn event_type(&self) -> Option<&str> {
        self.template.kind.as_deref()
    }

    /// Whether no later rule is asked about a record that it matches.
    pub fn stops(&self) -> bool {
        self.stop
    }

    /// Which of its events replace each other.
    pub fn coalesce(&self) -> Option<&Coalesce> {
        self.coalesce.as_ref()
    }

    /// The waves of its broadcasts.
    pub fn pace(&self) -> Option<&Pace> {
        self.pace.as_ref()
    }

    /// For how long its broadcasts also notify tasks that start.
    pub fn cover(&self) -> Option<Duration> {
        self.cover.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// How its newest event is kept for tasks that start later.
    pub fn retain(&self) -> Option<&Retain> {
        self.retain.as_ref()
    }

    fn matches(&self, record: &Record) -> bool {
        self.pattern.matches(record.event())
            || !record.is_normal() && self.pattern.matches(record.raw_value())
    }

    /// Why it does not match: of the two shapes of a record, for the event in the shape of EventBridge.
    fn explain(&self, record: &Record) -> Option<Mismatch> {
        if !record.is_normal() && self.pattern.matches(record.raw_value()) {
            return None;
        }
        self.pattern.explain(record.event())
    }

    fn apply(&self, record: &Record) -> Routed {
        let (rule, fold) = (self.name.clone(), self.fold(record));
        let (request, fold) = match (self.request(record), fold) {
            (Ok(request), Ok(fold)) => (Ok(request), fold),
            (Err(error), _) | (_, Err(error)) => (Err(error), None),
        };
        Routed { rule, request, fold }
    }

    fn request(&self, record: &Record) -> Result<ObserverMessage, RouteError> {
        let mut clusters = self.scope.clusters.iter().cloned();
        let mut request = ObserverMessage::new(clusters.next().unwrap_or_default());
        request.clusters = clusters.collect();
        request.tags.clone_from(&self.scope.tags);
        request.services.clone_from(&self.scope.services);
        request.standalone = self.scope.standalone;
        request.pace.clone_from(&self.pace);
        request.cover = self.cover;
        request.retain.clone_from(&self.retain);
        request.event = Some(self.template.event(&self.name, &self.id(record), record)?);
        Ok(request)
    }

    /// The id of the broadcast: the same for a repeated notification, and another one for each rule.
    fn id(&self, record: &Record) -> BroadcastId {
        let mut parts = vec![record.source_kind().as_str()];
        parts.extend(record.identity.iter().map(String::as_str));
        parts.push(&self.name);
        BroadcastId::derive(&parts)
    }

    fn fold(&self, record: &Record) -> Result<Option<Fold>, RouteError> {
        let Some(Coalesce { key, window }) = &self.coalesce else { return Ok(None) };
        let mut parts = vec![self.name.clone()];
        for pointer in key {
            let value = record.value_at(pointer).ok_or_else(|| RouteError::Pointer {
                rule: self.name.clone(),
                key: "coalesce.key",
                pointer: pointer.clone(),
            })?;
            // The members of an object are sorted, so that their order in the text does not count.
            parts.push(value.to_string());
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(Some(Fold { key: fingerprint(&parts), window: *window, at: record.at() }))
    }
}
