//! The notifier's deliveries, as `send` makes them.

use std::sync::Arc;

use notifier::base::{Clock, Rng};
use notifier::deliver::{Deliverer, DeliveryJob, DeliveryOptions, Round};
use notifier::model::Progress;
use tokio::task::JoinSet;

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
    let broadcast = Arc::new(load::broadcast()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for n in 0..load.count {
            let (deliverer, broadcast) = (deliverer.clone(), Arc::clone(&broadcast));
            let mut job = DeliveryJob::new(load.endpoint(n));
            tasks.spawn(async move {
                let progress = Progress::default();
                deliverer.deliver(&broadcast, &mut job, &progress, Round::default()).await
            });
        }
        let mut calls = Calls::default();
        while let Some(delivered) = tasks.join_next().await {
            match delivered? {
                Ok(delivery) if delivery.is_notified() => calls.ok += 1,
                _ => calls.errors += 1,
            }
        }
        Ok(calls)
    })
}
