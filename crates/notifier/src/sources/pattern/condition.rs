//! The grammar of one field's conditions: exact values and operators.
//!
//! The errors say what EventBridge's own say.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Number;

use super::compare::{self, IgnoreCase, Range, Wildcard};
use super::error::SHOWN_CHARS_MAX;
use super::json::Json;
use crate::base::text::printable;

/// Conditions of which one must be true.
#[derive(Clone, Debug, Default)]
pub(super) struct AnyOf {
    /// Exact texts: a set, because some patterns list hundreds of names.
    pub(super) texts: HashSet<String>,
    /// All others.
    pub(super) others: Vec<Condition>,
}

/// One condition on a value.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Null,
    Bool(bool),
    Number(Number),
    /// Exact text that is an IP address: every text of the address.
    Address(IpAddr),
    Prefix(String),
    PrefixIgnoreCase(IgnoreCase),
    Suffix(String),
    SuffixIgnoreCase(IgnoreCase),
    EqualsIgnoreCase(IgnoreCase),
    Wildcard(Wildcard),
    Numeric(Range),
    Cidr(IpNet),
    Exists(bool),
    AnythingBut(AnyOf),
}

impl AnyOf {
    fn of(conditions: Vec<Condition>) -> Self {
        Self { texts: HashSet::new(), others: conditions }
    }
}

type Problem = String;

/// Reads the array of a field.
pub(super) fn parse(values: &[Json]) -> Result<AnyOf, Problem> {
    if values.is_empty() {
        return Err("empty arrays are not allowed".to_owned());
    }
    let mut any_of = AnyOf::default();
    for value in values {
        match value {
            Json::Null => any_of.others.push(Condition::Null),
            Json::Bool(value) => any_of.others.push(Condition::Bool(*value)),
            Json::Number(value) => any_of.others.push(Condition::Number(value.clone())),
            Json::Text(text) => {
                any_of.others.extend(compare::address(text).map(Condition::Address));
                any_of.texts.insert(text.clone());
            }
            Json::List(_) => {
                return Err("a value must be text, a number, true, false or null, not an array".to_owned());
            }
            Json::Object(members) => expression(members, &mut any_of)?,
        }
    }
    Ok(any_of)
}

/// The only member of an expression.
fn only<'a>(members: &'a [(String, Json)], what: &str) -> Result<(&'a str, &'a Json), Problem> {
    match members {
        [] => Err(format!("{what} without an operator")),
        [(name, operand)] => Ok((name, operand)),
        _ => Err("only one operator is allowed in an expression".to_owned()),
    }
}

fn shown(text: &str) -> String {
    printable(text, SHOWN_CHARS_MAX)
}

fn text<'a>(operator: &str, operand: &'a Json) -> Result<&'a str, Problem> {
    match operand {
        Json::Text(text) => Ok(text),
        other => Err(format!("`{operator}` takes text, not {}", other.kind())),
    }
}

fn expression(members: &[(String, Json)], any_of: &mut AnyOf) -> Result<(), Problem> {
    let (operator, operand) = only(members, "an expression")?;
    let condition = match operator {
        "exactly" => {
            any_of.texts.insert(text(operator, operand)?.to_owned());
            return Ok(());
        }
        "prefix" => match ignore_case(operator, operand)? {
            Some(folded) => Condition::PrefixIgnoreCase(folded),
            None => Condition::Prefix(text(operator, operand)?.to_owned()),
        },
        "suffix" => match ignore_case(operator, operand)? {
            Some(folded) => Condition::SuffixIgnoreCase(folded),
            None => Condition::Suffix(text(operator, operand)?.to_owned()),
        },
        "equals-ignore-case" => Condition::EqualsIgnoreCase(IgnoreCase::new(text(operator, operand)?)),
        "wildcard" => Condition::Wildcard(Wildcard::parse(text(operator, operand)?)?),
        "cidr" => Condition::Cidr(compare::network(text(operator, operand)?)?),
        "numeric" => Condition::Numeric(numeric(operand)?),
        "exists" => match operand {
            Json::Bool(wanted) => Condition::Exists(*wanted),
            _ => return Err("`exists` must be either true or false".to_owned()),
        },
        "anything-but" => Condition::AnythingBut(anything_but(operand)?),
        other => return Err(format!("`{}` is not an operator", shown(other))),
    };
    any_of.others.push(condition);
    Ok(())
}

/// The operand `{"equals-ignore-case": …}` of `prefix` and `suffix`.
fn ignore_case(operator: &str, operand: &Json) -> Result<Option<IgnoreCase>, Problem> {
    let Json::Object(members) = operand else { return Ok(None) };
    match only(members, &format!("an object of `{operator}`"))? {
        ("equals-ignore-case", operand) => Ok(Some(IgnoreCase::new(text("equals-ignore-case", operand)?))),
        (other, _) => Err(format!("`{operator}` cannot contain `{}`", shown(other))),
    }
}

fn anything_but(operand: &Json) -> Result<AnyOf, Problem> {
    const KINDS: &str = "`anything-but` takes text, a number, an array of them, or one operator";
    match operand {
        Json::Text(text) => Ok(AnyOf { texts: HashSet::from([text.clone()]), others: Vec::new() }),
        Json::Number(number) => Ok(AnyOf::of(vec![Condition::Number(exact(number)?.clone())])),
        Json::List(values) => anything_but_list(values),
        Json::Object(members) => {
            let (operator, operand) = only(members, "an object of `anything-but`")?;
            anything_but_nested(operator, operand)
        }
        Json::Bool(_) | Json::Null => Err(format!("{KINDS}, not {}", operand.kind())),
    }
}

fn anything_but_list(values: &[Json]) -> Result<AnyOf, Problem> {
    let mut any_of = AnyOf::default();
    for value in values {
        match value {
            Json::Text(text) => {
                any_of.texts.insert(text.clone());
            }
            Json::Number(number) => any_of.others.push(Condition::Number(exact(number)?.clone())),
            other => return Err(format!("an array of `anything-but` cannot contain {}", other.kind())),
        }
    }
    if any_of.texts.is_empty() == any_of.others.is_empty() {
        return Err("an array of `anything-but` contains either texts or numbers, at least one".to_owned());
    }
    Ok(any_of)
}

fn anything_but_nested(operator: &str, operand: &Json) -> Result<AnyOf, Problem> {
    let operands = match operand {
        // EventBridge accepts an empty array and then fails; it excludes nothing.
        Json::List(operands) if operands.is_empty() => {
            return Err("empty arrays are not allowed".to_owned());
        }
        Json::List(operands) => operands.as_slice(),
        one => std::slice::from_ref(one),
    };
    let condition = |operand: &Json| {
        let text = text(operator, operand)?;
        Ok(match operator {
            "prefix" | "suffix" if text.is_empty() => {
                return Err(format!("an empty `{operator}` is not allowed in `anything-but`"));
            }
            "prefix" => Condition::Prefix(text.to_owned()),
            "suffix" => Condition::Suffix(text.to_owned()),
            "equals-ignore-case" => Condition::EqualsIgnoreCase(IgnoreCase::new(text)),
            "wildcard" => Condition::Wildcard(Wildcard::parse(text)?),
            other => return Err(format!("`anything-but` cannot contain `{}`", shown(other))),
        })
    };
    if !matches!(operator, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
        return Err(format!("`anything-but` cannot contain `{}`", shown(operator)));
    }
    Ok(AnyOf::of(operands.iter().map(condition).collect::<Result<_, Problem>>()?))
}

/// A number that a double can hold exactly. EventBridge refuses others where it compares.
fn exact(number: &Number) -> Result<&Number, Problem> {
    if compare::exact_double(number).is_some() {
        Ok(number)
    } else {
        Err(format!("the number {number} cannot be compared: it has too many digits"))
    }
}

/// `["=", 1]`, `["<", 1]`, `[">", 0, "<=", 1]`: one comparison, or a lower and then an upper limit.
fn numeric(operand: &Json) -> Result<Range, Problem> {
    let Json::List(terms) = operand else { return Err("`numeric` takes an array".to_owned()) };
    let operator = |term: Option<&Json>| match term {
        Some(Json::Text(text)) => Ok(text.clone()),
        _ => Err("`numeric` takes an operator, such as `<`, and then a number".to_owned()),
    };
    let number = |operator: &str, term: Option<&Json>| match term {
        Some(Json::Number(number)) => {
            exact(number)?.as_f64().ok_or_else(|| format!("the number {number} cannot be compared"))
        }
        _ => Err(format!("`{}` of `numeric` takes a number", shown(operator))),
    };
    let first = operator(terms.first())?;
    if !matches!(first.as_str(), "=" | "<" | "<=" | ">" | ">=") {
        return Err(format!("`{}` is not an operator of `numeric`", shown(&first)));
    }
    let bottom = number(&first, terms.get(1))?;
    let one = Range::of(&first, bottom);
    if terms.len() == 2 {
        return Ok(one);
    }
    if !first.starts_with('>') {
        return Err(format!("`numeric` ends after `{first}` and its number"));
    }
    let second = operator(terms.get(2))?;
    if !matches!(second.as_str(), "<" | "<=") {
        return Err(format!("`{}` cannot be the upper limit of `numeric`", shown(&second)));
    }
    let top = number(&second, terms.get(3))?;
    match terms.len() {
        4 if bottom < top => Ok(one.up_to(Range::of(&second, top))),
        4 => Err("the lower limit of `numeric` must be less than the upper limit".to_owned()),
        _ => Err("`numeric` takes at most two operators with their numbers".to_owned()),
    }
}
