//! Event patterns, side by side with MiniStack's `TestEventPattern`, an independent implementation, over the wire.
//!
//! Thousands of patterns and events are made from a seed. The generator avoids what the two decide differently; each such
//! difference is a case of [`EXPLAINED`] with both answers, so that a change of either side shows.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cases;
mod generate;
mod ministack;

use fastrand::Rng;
use notifier::sources::pattern::Pattern;
use serde_json::Value;

use generate::Generator;
use ministack::{Answer, Judge};

const SEED: u64 = 0x0005_eced;
/// Pairs of pattern and event.
const PAIRS: usize = 2_000;
/// The fewest pairs of each answer, so that a comparison of refusals alone does not count.
const EACH_MIN: usize = 200;

/// What the two decide differently: pattern, event, our answer, MiniStack's answer, and why.
const EXPLAINED: [(&str, &str, Answer, Answer, &str); 6] = [
    (
        r#"{"detail":{"a":["::1"]}}"#,
        r#"{"detail":{"a":"0:0:0:0:0:0:0:1"}}"#,
        Answer::Matches,
        Answer::Differs,
        "event-ruler compares an exact value that is an IP address as an address; MiniStack as text",
    ),
    (
        r#"{"detail":{"app.kubernetes.io/name":["shop"]}}"#,
        r#"{"detail":{"app.kubernetes.io/name":"shop"}}"#,
        Answer::Matches,
        Answer::Differs,
        "event-ruler joins names with dots in patterns and in events; MiniStack in patterns only",
    ),
    (
        r#"{"detail":{"a":["1"]},"detail":{"b":["2"]}}"#,
        r#"{"detail":{"b":"2"}}"#,
        Answer::Differs,
        Answer::Matches,
        "event-ruler reads repeated members one after another; MiniStack only the last one",
    ),
    (
        r#"{"detail":{"a":[{"exists":false}],"a.b":["x"]}}"#,
        r#"{"detail":{"a":{"b":"x"}}}"#,
        Answer::Matches,
        Answer::Differs,
        "event-ruler keeps both conditions of a name that has a value and members; MiniStack gives such a pattern up",
    ),
    (
        r#"{"detail":{"a":[{"numeric":[">",0]}]}}"#,
        r#"{"detail":{"a":9007199254740993}}"#,
        Answer::Differs,
        Answer::Matches,
        "event-ruler does not compare a number that no double holds exactly; MiniStack rounds it",
    ),
    (
        r#"{"detail":{"a":[{"cidr":"0000000000000000000000000000000000000000000000000000000000010.0.0.0/8"}]}}"#,
        r#"{"detail":{"a":"10.1.2.3"}}"#,
        Answer::Invalid,
        Answer::Matches,
        "an address of more than 64 characters is no address for us",
    ),
];

fn ours(pattern: &str, event: &str) -> Answer {
    let Ok(parsed) = Pattern::parse(pattern) else { return Answer::Invalid };
    let event: Value = serde_json::from_str(event).unwrap();
    let is_match = parsed.matches(&event);
    assert_eq!(parsed.explain(&event).is_none(), is_match, "{pattern} and {event}");
    if is_match { Answer::Matches } else { Answer::Differs }
}

/// Pairs from the seed. By chance alone few would match, so a part of the others is left out.
fn pairs() -> Vec<(String, String)> {
    let mut generator = Generator { rng: Rng::with_seed(SEED) };
    let mut chance = Rng::with_seed(SEED);
    let mut pairs = Vec::new();
    while pairs.len() < PAIRS {
        let (pattern, event) = generator.pair();
        let is_kept = match ours(&pattern, &event) {
            Answer::Matches => true,
            Answer::Differs => chance.u8(..4) == 0,
            Answer::Invalid => chance.u8(..10) == 0,
        };
        if is_kept {
            pairs.push((pattern, event));
        }
    }
    pairs
}

#[tokio::test]
async fn patterns_decide_as_ministack_does() {
    let judge = Judge::start().await;
    let pairs = pairs();
    let theirs = judge.ask(&pairs).await;
    let mut counts = [0; 3];
    let mut differences = Vec::new();
    for ((pattern, event), theirs) in pairs.iter().zip(theirs) {
        let ours = ours(pattern, event);
        counts[ours as usize] += 1;
        if ours != theirs {
            differences.push(format!("{pattern} and {event}: {ours:?} here, {theirs:?} there"));
        }
    }
    println!("seed {SEED:#x}: {counts:?} of matches, differs, invalid");
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..10.min(differences.len())].join("\n")
    );
    assert!(counts.iter().all(|count| *count >= EACH_MIN), "{counts:?}");
}

#[tokio::test]
async fn the_differences_to_ministack_are_the_explained_ones() {
    let judge = Judge::start().await;
    let pairs: Vec<_> =
        EXPLAINED.iter().map(|(pattern, event, ..)| ((*pattern).to_owned(), (*event).to_owned())).collect();
    for ((pattern, event, expected, other, why), theirs) in EXPLAINED.into_iter().zip(judge.ask(&pairs).await)
    {
        assert_eq!((ours(pattern, event), theirs), (expected, other), "{why}: {pattern} and {event}");
    }
}

#[tokio::test]
async fn the_public_cases_of_event_ruler_have_their_answers() {
    let judge = Judge::start().await;
    // `TestEventPattern` sets members of its own outside of `detail`.
    let wrapped = |text: &str| format!(r#"{{"detail":{text}}}"#);
    let pairs: Vec<_> =
        cases::CASES.iter().map(|(_, pattern, event, _)| (wrapped(pattern), wrapped(event))).collect();
    for ((name, pattern, event, expected), theirs) in cases::CASES.iter().zip(judge.ask(&pairs).await) {
        let expected = if *expected { Answer::Matches } else { Answer::Differs };
        assert_eq!((ours(pattern, event), theirs), (expected, expected), "{name}: {pattern} and {event}");
    }
}
