//! The corpus: the exact verdict of each parser on hostile input.

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use hostile::TARGETS;

/// Minimum size of the corpus; `docs/security.md` has its exact size.
const CASES_LEAST: usize = 200;

#[test]
fn every_case_of_the_corpus_has_its_verdict() {
    let mut wrong = Vec::new();
    for target in TARGETS {
        for (input, expected) in target.cases() {
            let checked = catch_unwind(|| target.check(input.as_bytes()));
            let verdict = catch_unwind(|| (target.run)(input.as_bytes())).unwrap_or_default();
            if checked.is_err() || verdict != expected {
                wrong.push(serde_json::json!([target.name, input, expected, verdict]).to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "target, input, expected, found:\n{}", wrong.join("\n"));
}

#[test]
fn the_corpus_is_as_large_as_the_documents_say_and_repeats_nothing() {
    let mut cases = 0;
    for target in TARGETS {
        let inputs: BTreeSet<_> = target.cases().into_iter().map(|(input, _)| input).collect();
        assert_eq!(inputs.len(), target.cases().len(), "{}", target.name);
        cases += inputs.len();
    }
    let document = include_str!("../../../docs/security.md");
    assert!(cases >= CASES_LEAST);
    assert!(document.contains(&format!("{cases} cases")), "docs/security.md does not say {cases} cases");
    assert!(
        document.contains(&format!("{} targets", TARGETS.len())),
        "docs/security.md does not say {} targets",
        TARGETS.len()
    );
}
