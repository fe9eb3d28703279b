//! TOML values with their lines, and the errors found so far.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::RuleError;
use crate::base::text::{near, quoted};
use crate::sources::pattern::json::Json;

/// The most errors that are reported.
const ERRORS_MAX: usize = 100;

/// The longest name or ARN of a cluster or service, and the longest pointer, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 512;

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// The text of a rules file, and its errors.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    toml: &'a str,
    origin: &'a str,
    /// The rule that is read.
    pub(super) rule: Option<String>,
    pub(super) errors: Vec<RuleError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(toml: &'a str, origin: &'a str) -> Self {
        Self { toml, origin, rule: None, errors: Vec::new() }
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, place: usize) -> usize {
        1 + self.toml.bytes().take(place).filter(|byte| *byte == b'\n').count()
    }

    /// The text of a span.
    pub(super) fn slice(&self, span: &Range<usize>) -> &str {
        self.toml.get(span.clone()).unwrap_or_default()
    }

    pub(super) fn wrong(&mut self, span: &Range<usize>, problem: impl Into<String>) {
        let line = self.line(span.start);
        self.wrong_line(line, problem);
    }

    pub(super) fn wrong_line(&mut self, line: usize, problem: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            let (origin, rule) = (self.origin.to_owned(), self.rule.clone());
            self.errors.push(RuleError { origin, line, rule, problem: problem.into() });
        }
    }

    /// Reports the keys that are not among `known`.
    pub(super) fn known(&mut self, within: &str, table: &DeTable<'_>, known: &[&str]) {
        for (key, _) in table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let likely = near(name, known.iter().copied()).map(|name| format!("; did you mean `{name}`?"));
            let problem = format!("unknown key `{within}{}`{}", quoted(name), likely.unwrap_or_default());
            self.wrong(&key.span(), problem);
        }
    }

    /// The value of a key that must be there.
    pub(super) fn required<'v, 'i>(
        &mut self,
        span: &Range<usize>,
        table: &'v DeTable<'i>,
        key: &str,
    ) -> Option<&'v Value<'i>> {
        let value = table.get(key);
        if value.is_none() {
            self.wrong(span, format!("`{key}` is missing"));
        }
        value
    }

    /// The text of `key`, within limits.
    pub(super) fn text(&mut self, key: &str, value: &Value<'_>, bytes_max: usize) -> Option<String> {
        let problem = match value.get_ref() {
            DeValue::String(text) if text.is_empty() => "must not be empty".to_owned(),
            DeValue::String(text) if text.len() > bytes_max => format!("is longer than {bytes_max} bytes"),
            DeValue::String(text) => return Some(text.clone().into_owned()),
            other => format!("must be text, not {}", article(other.type_str())),
        };
        self.wrong(&value.span(), format!("`{key}` {problem}"));
        None
    }

    pub(super) fn flag(&mut self, key: &str, value: &Value<'_>) -> bool {
        match value.get_ref() {
            DeValue::Boolean(flag) => *flag,
            other => {
                let found = article(other.type_str());
                self.wrong(&value.span(), format!("`{key}` must be true or false, not {found}"));
                false
            }
        }
    }

    pub(super) fn table<'v, 'i>(&mut self, key: &str, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let found = article(value.get_ref().type_str());
            self.wrong(&value.span(), format!("`{key}` must be a table, not {found}"));
        }
        table
    }

    /// The texts of an array, at least one and at most `most`.
    pub(super) fn texts(
        &mut self,
        key: &str,
        value: &Value<'_>,
        most: usize,
        bytes_max: usize,
    ) -> Vec<String> {
        let Some(values) = value.get_ref().as_array() else {
            let found = article(value.get_ref().type_str());
            self.wrong(&value.span(), format!("`{key}` must be an array of texts, not {found}"));
            return Vec::new();
        };
        if values.is_empty() || values.len() > most {
            self.wrong(&value.span(), format!("`{key}` must have from 1 to {most} elements"));
            return Vec::new();
        }
        values.iter().filter_map(|value| self.text(key, value, bytes_max)).collect()
    }

    /// A TOML value as JSON, with its members in the order of the file.
    pub(super) fn json(&mut self, key: &str, value: &Value<'_>) -> Option<Json> {
        let json = match value.get_ref() {
            DeValue::String(text) => Json::Text(text.clone().into_owned()),
            DeValue::Boolean(flag) => Json::Bool(*flag),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                return number.map(|number| Json::Number(number.into())).or_else(|| {
                    self.wrong(&value.span(), format!("`{key}` has a number of more than 64 bits"));
                    None
                });
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                return number.map(Json::Number).or_else(|| {
                    self.wrong(&value.span(), format!("`{key}` has a number that JSON does not have"));
                    None
                });
            }
            DeValue::Datetime(_) => {
                self.wrong(&value.span(), format!("`{key}` has a date without quotation marks"));
                return None;
            }
            DeValue::Array(values) => {
                Json::List(values.iter().map(|value| self.json(key, value)).collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                let mut members: Vec<_> = table.iter().collect();
                members.sort_by_key(|(name, _)| name.span().start);
                let mut object = Vec::new();
                for (name, value) in members {
                    object.push((name.get_ref().clone().into_owned(), self.json(key, value)?));
                }
                Json::Object(object)
            }
        };
        Some(json)
    }
}

/// A kind of TOML value in a sentence.
pub(super) fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}
