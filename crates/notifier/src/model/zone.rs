//! Names of availability zones.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::text::is_word;

/// The longest name; the longest of AWS, such as `us-east-1-wl1-bos-wlz-1`, have 25 characters.
const NAME_CHARS_MAX: usize = 64;

/// The name of an availability zone, for example `eu-west-1a`: letters, digits and hyphens. A copy shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(Arc<str>);

impl Zone {
    /// The zone with this name; `None` if it cannot be one.
    pub fn new(name: &str) -> Option<Self> {
        (is_word(name) && name.len() <= NAME_CHARS_MAX).then(|| Self(name.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_the_name_that_aws_gave_it_and_no_other_text() {
        for name in ["eu-west-1a", "us-east-1-wl1-bos-wlz-1", "cn-north-1b"] {
            assert_eq!(Zone::new(name).map(|zone| zone.to_string()).as_deref(), Some(name));
        }
        for name in ["", "eu west", "a\u{202e}b", "a,b", &"a".repeat(65)] {
            assert_eq!(Zone::new(name), None, "{name:?}");
        }
    }
}
