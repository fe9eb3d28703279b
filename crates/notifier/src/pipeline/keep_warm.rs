//! The keep-warm message: it passes through all stages of an idle installation without any work.
//!
//! Lambda makes a function in a VPC inactive after weeks without a call, and the first call afterwards fails.

use serde::Deserialize;

/// The whole body. An object with other fields is an ordinary message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepWarm {
    keep_warm: bool,
}

/// Whether a body is the keep-warm message, on any queue.
pub(super) fn is_keep_warm(body: &str) -> bool {
    serde_json::from_str(body).is_ok_and(|KeepWarm { keep_warm }| keep_warm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_message_is_one() {
        assert!(is_keep_warm(r#"{"keep_warm":true}"#) && is_keep_warm(" { \"keep_warm\" : true }\n"));
        for body in [
            "",
            "true",
            "{}",
            r#"{"keep_warm":false}"#,
            r#"{"keep_warm":"true"}"#,
            r#"{"cluster":"prod"}"#,
            r#"{"keep_warm":true,"cluster":"prod"}"#,
            r#"[{"keep_warm":true}]"#,
        ] {
            assert!(!is_keep_warm(body), "{body}");
        }
    }
}
