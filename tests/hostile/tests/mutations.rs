//! Mutations of the corpus: the same ones in every run, so that every finding is reproducible.

use std::time::Instant;

use fastrand::Rng;
use hostile::mutate::mutated;
use hostile::{TARGETS, Target};

/// Mutations of each target in one run, as `docs/security.md` says.
const MUTATIONS: u32 = 20_000;
/// The same for targets behind AWS's SDK, which are a hundred times slower.
const MUTATIONS_THROUGH_SDK: u32 = 3_000;
const SEED: u64 = 0x0005_ec5a_55e5;

fn mutations(target: &Target) -> u32 {
    if target.through_sdk { MUTATIONS_THROUGH_SDK } else { MUTATIONS }
}

fn meets_mutations(target: &Target) {
    let cases = target.cases();
    let seeds: Vec<&[u8]> = cases.iter().map(|(input, _)| input.as_bytes()).collect();
    let mut rng = Rng::with_seed(SEED);
    for number in 0..mutations(target) {
        let bytes = mutated(&seeds, &mut rng);
        let outcome = std::panic::catch_unwind(|| target.check(&bytes));
        assert!(outcome.is_ok(), "{}, mutation {number}: {:?}", target.name, String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn every_parser_handles_every_mutation_of_the_corpus() {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(|| meets_mutations(target));
        }
    });
    let count: u32 = TARGETS.iter().map(mutations).sum();
    println!("{} targets, {count} mutations in {:.1} s", TARGETS.len(), started.elapsed().as_secs_f64());
}

#[test]
fn every_target_exists_for_cargo_fuzz_too() {
    let manifest = include_str!("../../../fuzz/Cargo.toml");
    let targets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/targets");
    for target in TARGETS {
        let source = std::fs::read_to_string(targets.join(format!("{}.rs", target.name))).unwrap_or_default();
        assert!(source.contains(&format!("hostile::fuzz(\"{}\"", target.name)), "{}.rs", target.name);
        assert!(
            manifest.contains(&format!("name = \"{}\"", target.name)),
            "fuzz/Cargo.toml lacks {}",
            target.name
        );
    }
}
