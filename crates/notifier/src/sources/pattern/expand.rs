//! Expands `$or` into alternatives, and checks the shape of a pattern.
//!
//! EventBridge compiles a pattern into a list of alternatives, each with one condition for each path. It writes each
//! condition into all alternatives that exist so far, in the order of the text. So a path that has a condition inside and
//! outside of `$or` keeps the one that is written last.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::{self, AnyOf};
use super::error::PatternError;
use super::json::Json;
use super::{ALTERNATIVES_MAX, DEPTH_MAX, LEAVES_MAX};

/// The name of the operator.
const OR: &str = "$or";

/// Names that an object inside `$or` may not have: the operators, and names that AWS reserves for later ones.
///
/// Source: event-ruler, `Constants.RESERVED_FIELD_NAMES_IN_OR_RELATIONSHIP`.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// The conditions of one field.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The names down to the field.
    pub(super) names: Vec<String>,
    /// Its place in the text.
    pub(super) place: usize,
    /// The conditions, of which one must be true.
    pub(super) any_of: AnyOf,
    /// The conditions as JSON.
    pub(super) text: String,
}

/// One condition for each path, by the path.
pub(super) type Alternative = BTreeMap<String, Arc<Leaf>>;

/// Checks the pattern, and returns the alternatives that it stands for.
pub(super) fn alternatives(pattern: &Json) -> Result<Vec<Alternative>, PatternError> {
    // EventBridge multiplies the lengths of all `$or`, also of one that turns out to be an ordinary field.
    if product(pattern) > ALTERNATIVES_MAX {
        return Err(too_many());
    }
    match Expansion::run(pattern, true) {
        Err(error) if !error.is_limit => {
            // EventBridge then reads `$or` as an ordinary field. If that fails too, the first error is the better one.
            Expansion::run(pattern, false).map_err(|other| if other.is_limit { other } else { error })
        }
        result => result,
    }
}

fn too_many() -> PatternError {
    PatternError::limit(format!("the pattern stands for more than {ALTERNATIVES_MAX} combinations of `$or`"))
}

/// The product of the lengths of every `$or`, up to a number that is over the limit.
fn product(json: &Json) -> usize {
    let Json::Object(members) = json else { return 1 };
    let mut product = 1_usize;
    for (name, value) in members {
        match value {
            Json::List(branches) if name == OR => {
                product = product.saturating_mul(branches.len().max(1));
                for branch in branches {
                    product = product.saturating_mul(self::product(branch));
                }
            }
            Json::Object(_) => product = product.saturating_mul(self::product(value)),
            _ => {}
        }
    }
    product
}

struct Expansion {
    alternatives: Vec<Alternative>,
    /// The names down to the present object.
    path: Vec<String>,
    /// Conditions so far.
    count: usize,
    /// Whether `$or` is the operator, and not an ordinary field.
    is_operator: bool,
}

impl Expansion {
    fn run(pattern: &Json, is_operator: bool) -> Result<Vec<Alternative>, PatternError> {
        let mut expansion = Self { alternatives: Vec::new(), path: Vec::new(), count: 0, is_operator };
        expansion.object(pattern, false, 0)?;
        Ok(expansion.alternatives)
    }

    fn wrong<T>(&self, problem: impl Into<String>) -> Result<T, PatternError> {
        Err(PatternError::at(&self.path, problem))
    }

    fn object(&mut self, json: &Json, inside_or: bool, depth: usize) -> Result<(), PatternError> {
        if depth > DEPTH_MAX {
            return Err(PatternError::limit(format!("the pattern is nested deeper than {DEPTH_MAX} levels")));
        }
        let Json::Object(members) = json else {
            return self.wrong(format!("must be an object, not {}", json.kind()));
        };
        if members.is_empty() {
            return self.wrong("empty objects are not allowed");
        }
        for (name, value) in members {
            if self.is_operator && name == OR {
                self.or(value, depth)?;
                continue;
            }
            let length = self.path.len();
            self.path.extend(name.split('.').map(str::to_owned));
            if inside_or && RESERVED.contains(&name.as_str()) {
                return self.wrong("is the name of an operator, which must not be a field inside `$or`");
            }
            match value {
                Json::Object(_) => self.object(value, inside_or, depth + 1)?,
                Json::List(values) => self.leaf(values, value)?,
                _ => return self.wrong(format!("must be an object or an array, not {}", value.kind())),
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn or(&mut self, value: &Json, depth: usize) -> Result<(), PatternError> {
        let Json::List(branches) = value else { return self.wrong("`$or` must be an array") };
        let before = std::mem::take(&mut self.alternatives);
        let mut all = Vec::new();
        for branch in branches {
            if !matches!(branch, Json::Object(_)) {
                return self.wrong("`$or` may contain only objects");
            }
            self.alternatives = if before.is_empty() { vec![Alternative::new()] } else { before.clone() };
            self.object(branch, true, depth + 1)?;
            all.append(&mut self.alternatives);
            limits(&all)?;
        }
        if branches.len() < 2 {
            return self.wrong("`$or` must contain at least 2 objects");
        }
        self.alternatives = all;
        Ok(())
    }

    /// Writes a condition into every alternative.
    fn leaf(&mut self, values: &[Json], whole: &Json) -> Result<(), PatternError> {
        let any_of = condition::parse(values).map_err(|problem| PatternError::at(&self.path, problem))?;
        self.count += 1;
        let leaf = Leaf { names: self.path.clone(), place: self.count, any_of, text: whole.to_string() };
        let (path, leaf) = (self.path.join("."), Arc::new(leaf));
        if self.alternatives.is_empty() {
            self.alternatives.push(Alternative::new());
        }
        for alternative in &mut self.alternatives {
            alternative.insert(path.clone(), Arc::clone(&leaf));
        }
        // Inside `$or`, a branch may add many conditions to many alternatives before it ends.
        limits(&self.alternatives)
    }
}

fn limits(alternatives: &[Alternative]) -> Result<(), PatternError> {
    if alternatives.len() > ALTERNATIVES_MAX {
        return Err(too_many());
    }
    if alternatives.iter().map(BTreeMap::len).sum::<usize>() > LEAVES_MAX {
        return Err(PatternError::limit(format!("the pattern stands for more than {LEAVES_MAX} conditions")));
    }
    Ok(())
}
