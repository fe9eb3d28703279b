//! Every parser of outside input as a named target: bytes in, a verdict as text out.
//!
//! The same targets run on a corpus with expected verdicts, on mutations of that corpus (`tests/`), and under cargo-fuzz
//! (`fuzz/` at the root of the repository). A verdict is text that a user would see, so every verdict must be short and
//! without terminal control sequences ([`Target::check`]).

use std::ops::RangeInclusive;

mod canned;
mod clients;
mod ledger;
pub mod mutate;
mod parsers;
mod requests;
mod sources;

/// A parser of outside input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the target, of its corpus `corpus/NAME.json`, and of its fuzz target.
    pub name: &'static str,
    /// Parses the bytes; returns the verdict.
    pub run: fn(&[u8]) -> String,
    /// Whether AWS's SDK reads the input first.
    pub through_sdk: bool,
    /// The corpus: pairs of input and verdict, as JSON.
    corpus: &'static str,
}

macro_rules! targets {
    ($($name:ident: $run:path $(, $sdk:ident)?;)*) => {
        /// Every parser of outside input.
        pub static TARGETS: &[Target] = &[$(
            Target {
                name: stringify!($name),
                run: $run,
                through_sdk: {
                    const MARKS: &[&str] = &[$(stringify!($sdk))?];
                    !MARKS.is_empty()
                },
                corpus: include_str!(concat!("../corpus/", stringify!($name), ".json")),
            },
        )*];
    };
}

targets! {
    labels: parsers::labels;
    addresses: parsers::addresses;
    networks: parsers::networks;
    observer_messages: parsers::observer_message;
    service_messages: parsers::service_message;
    task_messages: parsers::task_message;
    events: parsers::event;
    envelopes: parsers::envelope;
    keys: parsers::keys;
    secret_references: parsers::secret_reference;
    fleets: parsers::fleet;
    task_metadata: parsers::task_metadata;
    signatures: requests::signature;
    requests: requests::request;
    answers: parsers::answer;
    ec2: parsers::ec2;
    ecs: clients::ecs, sdk;
    sqs: clients::sqs, sdk;
    secret_answers: clients::secret_answers, sdk;
    ledger_items: ledger::ledger_items;
    records: parsers::records;
    registry_messages: parsers::registry_message;
    settings: parsers::settings;
    sources: sources::bodies;
    patterns: sources::patterns;
    routes: sources::routes;
}

/// Characters that change the direction of text. Source: Unicode Technical Report 36, "Bidirectional Text Spoofing".
const TURNS: RangeInclusive<char> = '\u{202a}'..='\u{202e}';

/// Maximum number of characters of a verdict: a line or two of a log.
const VERDICT_CHARS_MAX: usize = 8 * 1024;

impl Target {
    /// Returns the target with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Returns the corpus: each input with its verdict.
    ///
    /// # Panics
    ///
    /// If the file is not a list of pairs.
    #[expect(clippy::expect_used, reason = "an unreadable corpus is a bug in this crate")]
    pub fn cases(&self) -> Vec<(String, String)> {
        serde_json::from_str(self.corpus).expect("pairs of input and verdict")
    }

    /// Runs the parser on these bytes, and checks the rules for every verdict.
    ///
    /// # Panics
    ///
    /// If the parser panics, or if its verdict is too long or contains terminal control sequences.
    pub fn check(&self, bytes: &[u8]) {
        let verdict = (self.run)(bytes);
        assert!(verdict.chars().count() <= VERDICT_CHARS_MAX, "{}: the verdict is too long", self.name);
        // A verdict may repeat a name or a line of a file. It must neither move a cursor nor change the direction of text.
        // Accepted input is shown as JSON here, which does not escape DEL and direction characters. Tables escape them
        // separately.
        let is_json = verdict.starts_with('{');
        let has_controls = if is_json {
            verdict.contains(['\u{1b}', '\0', '\u{9b}'])
        } else {
            has_terminal_controls(&verdict)
        };
        assert!(!has_controls, "{}: the verdict has terminal control sequences: {verdict:?}", self.name);
    }
}

/// Whether a text has control characters other than line ends, or changes the direction of text.
fn has_terminal_controls(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && c != '\n' || TURNS.contains(&c))
}

/// Runs one target, for cargo-fuzz.
///
/// # Panics
///
/// If there is no such target, and as [`Target::check`] does.
#[expect(clippy::expect_used, reason = "the names are constants of this repository")]
pub fn fuzz(name: &str, bytes: &[u8]) {
    Target::find(name).expect("a target of this name").check(bytes);
}
