//! Reads rules from TOML.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use wire::Pace;

use super::error::{RoutesError, RuleError};
use super::late;
use super::reader::{Reader, TEXT_BYTES_MAX, Value, article};
use super::template::{DataTemplate, Subject, Template};
use super::{Coalesce, FILE_BYTES_MAX, RULES_MAX, Rule, RuleScope, WINDOW_MAX, WINDOW_MIN};
use crate::base::parse_time;
use crate::base::text::quoted;
use crate::model::arn::Arn;
use crate::rollout::{ALARMS_MAX, PaceError, Plan};
use crate::sources::pattern::{PATTERN_BYTES_MAX, Pattern};

/// The longest name of a rule, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The most clusters of a rule.
const CLUSTERS_MAX: usize = 100;
/// The most services of a rule.
const SERVICES_MAX: usize = 100;
/// The longest name of an alarm, in bytes: 255 characters.
const ALARM_BYTES_MAX: usize = 1_020;
/// The most tags of a rule. ECS allows 50.
const TAGS_MAX: usize = 50;
/// The most members of `event.data`, and the most pointers of `coalesce.key`.
const POINTERS_MAX: usize = 50;

/// Reads all rules, or reports all mistakes.
pub(super) fn rules(toml: &str, origin: &str) -> Result<Vec<Rule>, RoutesError> {
    let mut reader = Reader::new(toml, origin);
    if toml.len() > FILE_BYTES_MAX {
        reader.wrong_line(1, format!("the file is larger than {FILE_BYTES_MAX} bytes"));
        return Err(RoutesError(reader.errors));
    }
    let (table, errors) = DeTable::parse_recoverable(toml);
    for error in errors {
        let span = error.span().unwrap_or_default();
        reader.wrong(&span, crate::base::text::printable(error.message(), TEXT_BYTES_MAX));
    }
    if !reader.errors.is_empty() {
        return Err(sorted(reader.errors));
    }
    reader.known("", table.get_ref(), &["route"]);
    let (mut rules, mut names) = (Vec::new(), BTreeMap::new());
    match table.get_ref().get("route") {
        None => reader.wrong_line(1, "there is no rule: a rule begins with `[[route]]`"),
        Some(value) => match value.get_ref().as_array() {
            Some(values) if values.len() > RULES_MAX => {
                reader.wrong(&value.span(), format!("there are more than {RULES_MAX} rules"));
            }
            Some(values) if !values.is_empty() => {
                for (index, value) in values.iter().enumerate() {
                    rules.extend(rule(&mut reader, index, value, &mut names));
                }
            }
            _ => reader.wrong(&value.span(), "there is no rule: a rule begins with `[[route]]`"),
        },
    }
    if reader.errors.is_empty() { Ok(rules) } else { Err(sorted(reader.errors)) }
}

fn sorted(mut errors: Vec<RuleError>) -> RoutesError {
    errors.sort_by_key(|error| error.line);
    RoutesError(errors)
}

/// Reads one rule; `None` if it has no name or no pattern, which is then reported.
///
/// `names` has the lines of the rules before. The ids of broadcasts contain the name of the rule, so no two may share one.
fn rule(
    reader: &mut Reader<'_>,
    index: usize,
    value: &Value<'_>,
    names: &mut BTreeMap<String, usize>,
) -> Option<Rule> {
    reader.rule = Some(format!("number {}", index + 1));
    let table = reader.table("route", value)?;
    let span = value.span();
    let line = reader.line(span.start);
    let name = reader.required(&span, table, "name").and_then(|value| name(reader, value));
    if let Some(name) = &name {
        reader.rule = Some(format!("`{name}`"));
        if let Some(first) = names.insert(name.clone(), line) {
            reader.wrong_line(line, format!("the rule of line {first} has the same name"));
        }
    }
    reader.known("", table, &["name", "match", "to", "event", "stop", "coalesce", "pace", "cover", "retain"]);
    let pattern = reader.required(&span, table, "match").and_then(|value| pattern(reader, value));
    let scope = reader.required(&span, table, "to").map(|value| scope(reader, value));
    let template = table.get("event").map(|value| template(reader, value)).unwrap_or_default();
    let stop = table.get("stop").is_some_and(|value| reader.flag("stop", value));
    let coalesce = table.get("coalesce").and_then(|value| coalesce(reader, value));
    let pace = table.get("pace").and_then(|value| pace(reader, value));
    let cover = table.get("cover").and_then(|value| late::cover(reader, value));
    let retain = table.get("retain").and_then(|value| late::retain(reader, value));
    if pace.is_some() && (cover.is_some() || retain.is_some()) {
        reader.wrong(&span, PaceError::Late.to_string());
    }
    let (pattern, scope) = (pattern?, scope?);
    Some(Rule { name: name?, line, pattern, scope, template, stop, coalesce, pace, cover, retain })
}

fn name(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let name = reader.text("name", value, NAME_BYTES_MAX)?;
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Some(name);
    }
    reader.wrong(&value.span(), "`name` may have letters, digits, `-`, `_` and `.` only");
    None
}

/// A pattern as TOML, or as JSON text from an EventBridge rule.
fn pattern(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Pattern> {
    let span = value.span();
    let (result, first_line) = match value.get_ref() {
        DeValue::String(text) => {
            // A line feed right after the opening quotation marks does not belong to the text.
            let is_block = text.contains('\n');
            (
                Pattern::parse(text),
                reader.line(span.start) + usize::from(is_block && !starts_on_line(reader, &span)),
            )
        }
        DeValue::Table(_) => {
            let json = reader.json("match", value)?;
            if json.to_string().len() > PATTERN_BYTES_MAX {
                reader.wrong(&span, format!("`match` has more than {PATTERN_BYTES_MAX} bytes as JSON"));
                return None;
            }
            (Pattern::from_json(&json), reader.line(span.start))
        }
        other => {
            let found = article(other.type_str());
            reader
                .wrong(&span, format!("`match` must be a table or the JSON text of a pattern, not {found}"));
            return None;
        }
    };
    match result {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let line = first_line + error.line.map_or(0, |line| line.saturating_sub(1));
            let separator = if error.path.is_empty() { ": " } else { " at " };
            reader.wrong_line(line, format!("`match`{separator}{error}"));
            None
        }
    }
}

/// Whether the text of a block begins on the line of its quotation marks.
fn starts_on_line(reader: &Reader<'_>, span: &std::ops::Range<usize>) -> bool {
    let block = reader.slice(span);
    let inner = block.trim_start_matches(['\'', '"']);
    !inner.starts_with('\n') && !inner.starts_with("\r\n")
}

fn scope(reader: &mut Reader<'_>, value: &Value<'_>) -> RuleScope {
    let mut scope = RuleScope::default();
    let Some(table) = reader.table("to", value) else { return scope };
    reader.known("to.", table, &["cluster", "clusters", "tags", "services", "standalone"]);
    match (table.get("cluster"), table.get("clusters")) {
        (Some(one), None) => scope.clusters.extend(reader.text("to.cluster", one, TEXT_BYTES_MAX)),
        (None, Some(list)) => {
            scope.clusters = reader.texts("to.clusters", list, CLUSTERS_MAX, TEXT_BYTES_MAX);
        }
        (Some(_), Some(list)) => reader.wrong(&list.span(), "`to` has either `cluster` or `clusters`"),
        (None, None) => reader.wrong(&value.span(), "`to.cluster` is missing"),
    }
    let mut seen = BTreeSet::new();
    scope.clusters.retain(|cluster| seen.insert(cluster.clone()));
    for cluster in &scope.clusters {
        if !is_cluster(cluster) {
            let problem = format!(
                "`{}` is not a cluster: use a name, an ARN, `*`, or `arn:aws:ecs:REGION:ACCOUNT:cluster/*`",
                quoted(cluster)
            );
            reader.wrong(&value.span(), problem);
        }
    }
    if let Some(list) = table.get("services") {
        scope.services = reader.texts("to.services", list, SERVICES_MAX, TEXT_BYTES_MAX);
    }
    if let Some(flag) = table.get("standalone") {
        scope.standalone = reader.flag("to.standalone", flag);
        if scope.standalone && !scope.services.is_empty() {
            reader.wrong(&flag.span(), "`to.standalone` has no effect together with `to.services`");
        }
    }
    if let Some(value) = table.get("tags") {
        scope.tags = tags(reader, value);
        if !scope.clusters.iter().any(|cluster| is_every(cluster)) {
            reader.wrong(&value.span(), "`to.tags` needs `*` as a cluster");
        }
    }
    scope
}

fn tags(reader: &mut Reader<'_>, value: &Value<'_>) -> BTreeMap<String, String> {
    let Some(table) = reader.table("to.tags", value) else { return BTreeMap::new() };
    if table.is_empty() || table.len() > TAGS_MAX {
        reader.wrong(&value.span(), format!("`to.tags` must have from 1 to {TAGS_MAX} tags"));
    }
    let mut tags = BTreeMap::new();
    for (key, value) in table {
        if let Some(text) = reader.text("to.tags", value, TEXT_BYTES_MAX) {
            tags.insert(key.get_ref().clone().into_owned(), text);
        }
    }
    tags
}

/// Whether this means every cluster of an account and region.
fn is_every(cluster: &str) -> bool {
    cluster == "*" || cluster.ends_with(":cluster/*")
}

fn is_cluster(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 255
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match Arn::parse(text) {
        Some(arn) => {
            let name = arn.resource.strip_prefix("cluster/").unwrap_or_default();
            arn.service == "ecs"
                && arn.region().is_some()
                && !arn.account.is_empty()
                && (name == "*" || is_name(name))
        }
        None => text == "*" || is_name(text),
    }
}

fn template(reader: &mut Reader<'_>, value: &Value<'_>) -> Template {
    let mut template = Template::default();
    let Some(table) = reader.table("event", value) else { return template };
    reader.known("event.", table, &["type", "source", "subject", "data"]);
    let mut attribute = |key: &str, legal: fn(char) -> bool| {
        let value = table.get(key.strip_prefix("event.")?)?;
        let text = reader.text(key, value, TEXT_BYTES_MAX)?;
        if text.chars().all(legal) {
            return Some(text);
        }
        reader.wrong(&value.span(), format!("`{key}` contains a character that is not allowed"));
        None
    };
    template.kind = attribute("event.type", |c| !c.is_control());
    template.source = attribute("event.source", |c| c.is_ascii_graphic());
    template.subject = attribute("event.subject", |c| !c.is_control())
        .map(|text| if text.starts_with('/') { Subject::Pointer(text) } else { Subject::Text(text) });
    if let Some(value) = table.get("data") {
        template.data = data(reader, value);
    }
    template
}

fn data(reader: &mut Reader<'_>, value: &Value<'_>) -> DataTemplate {
    match value.get_ref() {
        DeValue::String(text) if text.is_empty() => DataTemplate::Whole,
        DeValue::String(_) => {
            pointer(reader, "event.data", value).map(DataTemplate::Pointer).unwrap_or_default()
        }
        DeValue::Table(table) => {
            if table.is_empty() || table.len() > POINTERS_MAX {
                let problem = format!("`event.data` must have from 1 to {POINTERS_MAX} members");
                reader.wrong(&value.span(), problem);
            }
            let mut members = BTreeMap::new();
            for (name, value) in table {
                if let Some(pointer) = pointer(reader, "event.data", value) {
                    members.insert(name.get_ref().clone().into_owned(), pointer);
                }
            }
            DataTemplate::Object(members)
        }
        other => {
            let found = article(other.type_str());
            let problem = format!(
                "`event.data` must be \"\" for the whole record, a pointer, or a table of pointers, not {found}"
            );
            reader.wrong(&value.span(), problem);
            DataTemplate::Whole
        }
    }
}

/// A JSON pointer: `/`, and names separated by `/`, in which `~0` is `~` and `~1` is `/`.
fn pointer(reader: &mut Reader<'_>, key: &str, value: &Value<'_>) -> Option<String> {
    let text = reader.text(key, value, TEXT_BYTES_MAX)?;
    let escapes = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if text.starts_with('/') && escapes {
        return Some(text);
    }
    let problem =
        format!("`{}` of `{key}` is not a JSON pointer such as `/detail/object/key`", quoted(&text));
    reader.wrong(&value.span(), problem);
    None
}

fn coalesce(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Coalesce> {
    let table = reader.table("coalesce", value)?;
    reader.known("coalesce.", table, &["key", "window"]);
    let span = value.span();
    let key = reader.required(&span, table, "key").map(|value| keys(reader, value));
    let window = reader.required(&span, table, "window").and_then(|value| window(reader, value));
    Some(Coalesce { key: key?, window: window? })
}

/// The waves of the broadcasts. What needs one process that makes every call is not among the keys.
fn pace(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Pace> {
    let table = reader.table("pace", value)?;
    reader.known("pace.", table, &["preset", "waves", "pause", "max_errors", "by_zone", "stop_on_alarm"]);
    let mut field = |name: &str| {
        let value = table.get(name.strip_prefix("pace.")?)?;
        reader.text(name, value, TEXT_BYTES_MAX)
    };
    let mut pace = Pace::new();
    pace.preset = field("pace.preset");
    pace.waves = field("pace.waves");
    pace.pause = field("pace.pause");
    pace.max_errors = field("pace.max_errors");
    pace.by_zone = table.get("by_zone").map(|flag| reader.flag("pace.by_zone", flag));
    if let Some(list) = table.get("stop_on_alarm") {
        let names = reader.texts("pace.stop_on_alarm", list, ALARMS_MAX, ALARM_BYTES_MAX);
        pace.stop_on_alarm = Some(names).filter(|names| !names.is_empty());
    }
    if let Err(error) = Plan::read(&pace) {
        reader.wrong(&value.span(), format!("`pace`: {error}"));
    }
    Some(pace)
}

/// The pointers of `coalesce.key`; an empty array means that all events of the rule replace each other.
fn keys(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<String> {
    match value.get_ref() {
        DeValue::Array(values) if values.len() <= POINTERS_MAX => {
            values.iter().filter_map(|value| pointer(reader, "coalesce.key", value)).collect()
        }
        _ => {
            let problem = format!("`coalesce.key` must be an array of at most {POINTERS_MAX} pointers");
            reader.wrong(&value.span(), problem);
            Vec::new()
        }
    }
}

/// A time such as `30s` or `5m`.
fn window(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Duration> {
    let text = reader.text("coalesce.window", value, TEXT_BYTES_MAX)?;
    let window = parse_time(&text).filter(|window| (WINDOW_MIN..=WINDOW_MAX).contains(window));
    if window.is_none() {
        let problem = format!("`{}` of `coalesce.window` is not a time from `1s` to `15m`", quoted(&text));
        reader.wrong(&value.span(), problem);
    }
    window
}
