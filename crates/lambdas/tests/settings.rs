//! What the code and the infrastructure both must know stands in one file. This compares it with the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use lambdas::batch::RESERVE;
use notifier::deliver;
use serde_json::Value;

fn stages() -> Value {
    serde_json::from_str(include_str!("../../../infra/terraform/stages.json")).unwrap()
}

#[test]
fn every_function_has_a_binary_of_its_name() {
    let manifest = include_str!("../Cargo.toml");
    for (stage, settings) in stages().as_object().unwrap() {
        let name = settings["function"].as_str().unwrap();
        let binary = format!("name = \"{name}\"\npath = \"src/bin/{stage}.rs\"");
        assert!(manifest.contains(&binary), "{binary}");
    }
}

#[test]
fn a_delivery_fits_into_the_notify_functions_time() {
    let deliver::Options { attempts, timeout, wait_most, retry_after_most, .. } = deliver::Options::default();
    let waits = wait_most.max(retry_after_most) * attempts.saturating_sub(1);
    let longest = timeout * attempts + waits + RESERVE;
    let limit = Duration::from_secs(stages()["notify"]["timeout_s"].as_u64().unwrap());
    assert!(longest <= limit, "a delivery may take {longest:?}, the function {limit:?}");
}

#[test]
fn a_message_stays_hidden_for_six_times_as_long_as_its_function_may_run() {
    for (stage, settings) in stages().as_object().unwrap() {
        let seconds = |name: &str| settings[name].as_u64().unwrap();
        assert!(
            seconds("visibility_s") >= 6 * seconds("timeout_s") + seconds("batching_window_s"),
            "{stage}"
        );
    }
}
