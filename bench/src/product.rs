//! The notifier: `deliver_all`, as `send` uses it.

use notifier::base::{Clock, Rng};
use notifier::deliver::{Deliverer, DeliveryOptions};
use notifier::model::Outcome;
use notifier::model::Progress;

use crate::load::{self, Load};
use crate::process::Calls;

/// Makes every call with the library. A call that times out counts as an error.
pub(crate) fn run(load: &Load) -> anyhow::Result<Calls> {
    let options = DeliveryOptions {
        timeout: load.timeout(),
        // What is measured is one call to each task.
        attempts: 1,
        concurrency: load.concurrency.into(),
        ..DeliveryOptions::default()
    };
    let deliverer = Deliverer::new(&options, "127.0.0.0/8".parse()?, Clock::system(), Rng::from_entropy());
    let broadcast = load::broadcast()?;
    let endpoints = (0..load.count).map(|n| load.endpoint(n)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settled = runtime.block_on(deliverer.deliver_all(&broadcast, endpoints, &Progress::default()));
    let mut calls = Calls::default();
    for settled in settled {
        match settled.result.outcome {
            Outcome::Delivered => calls.ok += 1,
            _ => calls.errors += 1,
        }
    }
    Ok(calls)
}
