//! Tasks that start after a broadcast has found its fleet.

use std::time::Duration;

use clap::Args;
use notifier::base::{parse_seconds, time};
use wire::{ObserverMessage, Retain};

/// Whether tasks that start later hear the event too.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Late tasks")]
pub(crate) struct LateArgs {
    /// Stay open for this time, such as 10m, and also notify tasks that start in it
    ///
    /// A deployment that runs at the same time replaces tasks: the new ones hear the event too. Needs a ledger.
    #[arg(long, value_name = "TIME", value_parser = cover)]
    cover: Option<u32>,

    /// Keep the event under this key, and notify every task of the scope that starts later
    ///
    /// Of the events with one key and scope, only the newest is kept. Needs a ledger and the registry.
    #[arg(long, value_name = "KEY", value_parser = key)]
    retain: Option<String>,

    /// How long the event is kept
    #[arg(long, value_name = "TIME", requires = "retain", default_value = "24h", value_parser = ttl)]
    ttl: u32,
}

impl LateArgs {
    /// Asks for it in a message.
    pub(crate) fn apply(&self, message: &mut ObserverMessage) {
        message.cover = self.cover;
        message.retain = self.retain.as_ref().map(|key| Retain::new(key, self.ttl));
    }
}

fn cover(text: &str) -> Result<u32, String> {
    seconds(text, ObserverMessage::COVER_MAX)
}

fn ttl(text: &str) -> Result<u32, String> {
    seconds(text, Retain::TTL_MAX)
}

fn seconds(text: &str, most: u32) -> Result<u32, String> {
    parse_seconds(text, most).ok_or_else(|| {
        let most = time(Duration::from_secs(most.into()));
        format!("write a time from 1s to {most}, such as 90s, 10m or 2h")
    })
}

/// Reads the key of a retained event.
pub(crate) fn key(text: &str) -> Result<String, String> {
    let fits = (1..=Retain::KEY_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("a key has 1 to {} bytes, without control characters", Retain::KEY_BYTES_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_within_their_limits() {
        assert_eq!(cover("10m"), Ok(600));
        assert_eq!(ttl("30d"), Ok(Retain::TTL_MAX));
        assert_eq!(ttl("24h"), Ok(Retain::TTL_DEFAULT));
        for wrong in ["", "0s", "10", "25h", "2d"] {
            let error = cover(wrong).unwrap_err();
            assert_eq!(error, "write a time from 1s to 1d, such as 90s, 10m or 2h", "{wrong}");
        }
        assert!(ttl("31d").is_err());
    }

    #[test]
    fn a_key_is_short_and_printable() {
        assert_eq!(key("config"), Ok("config".to_owned()));
        assert!(key("").is_err() && key("a\nb").is_err() && key(&"k".repeat(129)).is_err());
    }
}
