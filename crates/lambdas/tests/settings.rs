//! Compares the values that code and infrastructure share in one file with the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use lambdas::batch::RESERVE;
use notifier::aws::budget::PERCENT_DEFAULT;
use notifier::deliver;
use serde_json::{Map, Value};

/// The stages of a broadcast.
fn stages() -> Value {
    serde_json::from_str(include_str!("../../../infra/terraform/stages.json")).unwrap()
}

/// All stages, with the one that keeps the registry.
fn every_stage() -> Map<String, Value> {
    let registry = serde_json::from_str(include_str!("../../../infra/terraform/registry.json")).unwrap();
    let mut every = stages().as_object().unwrap().clone();
    every.insert("registry".to_owned(), registry);
    every
}

#[test]
fn every_function_has_a_binary_of_its_name() {
    let manifest = include_str!("../Cargo.toml");
    for (stage, settings) in &every_stage() {
        let name = settings["function"].as_str().unwrap();
        let binary = format!("name = \"{name}\"\npath = \"src/bin/{stage}.rs\"");
        assert!(manifest.contains(&binary), "{binary}");
    }
}

#[test]
fn a_delivery_fits_into_the_notify_functions_time() {
    let deliver::DeliveryOptions { attempts, timeout, wait_most, retry_after_most, .. } =
        deliver::DeliveryOptions::default();
    let waits = wait_most.max(retry_after_most) * attempts.saturating_sub(1);
    let longest = timeout * attempts + waits + RESERVE;
    let limit = Duration::from_secs(stages()["notify"]["timeout_s"].as_u64().unwrap());
    assert!(longest <= limit, "a delivery may take {longest:?}, the function {limit:?}");
}

#[test]
fn a_message_stays_hidden_for_six_times_as_long_as_its_function_may_run() {
    for (stage, settings) in &every_stage() {
        let seconds = |name: &str| settings[name].as_u64().unwrap();
        assert!(
            seconds("visibility_s") >= 6 * seconds("timeout_s") + seconds("batching_window_s"),
            "{stage}"
        );
    }
}

#[test]
fn a_message_is_tried_for_a_quarter_of_an_hour_before_it_is_given_up() {
    for (stage, settings) in &every_stage() {
        let receives = settings["receives_max"].as_u64().unwrap();
        assert!((15..=20).contains(&receives), "{stage}: {receives}");
    }
}

#[test]
fn lambda_does_not_wait_for_more_messages() {
    for (stage, settings) in &every_stage() {
        assert_eq!(settings["batching_window_s"], 0, "{stage}");
        assert!(settings["batch_size"].as_u64().unwrap() <= 10, "{stage}");
    }
}

#[test]
fn the_stages_share_one_budget() {
    let shares = |settings: &Value| settings["budget_share_percent"].as_u64().unwrap();
    assert_eq!(stages().as_object().unwrap().values().map(shares).sum::<u64>(), 100);
}

/// Stage 1 reads the revision of each service, and keeps its cache if its time ends.
#[test]
fn the_first_stage_has_time_for_thousands_of_revisions() {
    const REVISIONS: u64 = 4_000;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a whole number")]
    const PERCENT: u64 = PERCENT_DEFAULT as u64;
    const REVISIONS_PER_S: u64 = 20; // of the whole account, source: "Request throttling for the Amazon ECS API"
    let stages = stages();
    let services = |name: &str| stages["services"][name].as_u64().unwrap();
    let each_s = services("timeout_s") - RESERVE.as_secs();
    let of_all = REVISIONS_PER_S * PERCENT * services("budget_share_percent") * each_s / 10_000;
    let read = of_all / services("concurrency_max");
    // At worst, the invocations alternate between functions, and each reads everything.
    let turns = services("receives_max") / services("concurrency_max");
    assert!(read * turns >= REVISIONS, "{read} revisions, {turns} times");
}
