//! What counting one notification for the metrics costs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use notifier::model::{Delivery, Endpoint, Member, Outcome, ProgressEvent, labels};
use notifier::telemetry::Tally;
use wire::PartId;

use crate::figures::{per_call, quartiles};
use crate::load;
use crate::process::cpu_time;

/// Notifications of one sample.
const COUNT: u32 = 20_000;
/// Samples, of which the median counts.
const SAMPLES: u32 = 7;

/// Prints the processor time of counting one notification. Returns its share of a whole one, which takes `send_us`.
pub(crate) fn run(send_us: f64) -> Result<f64> {
    let events = events()?;
    let sample = |_| {
        let mut tally = Tally::new(true);
        let begin = cpu_time();
        for event in &events {
            tally.note(std::hint::black_box(event), Instant::now());
        }
        per_call(cpu_time().saturating_sub(begin), COUNT)
    };
    let [_, median, _] = quartiles((0..SAMPLES).map(sample).collect());
    let share = median / send_us;
    println!("counting one notification: {median:.2} µs, {:.1} % of a notification", share * 100.0);
    Ok(share)
}

/// The events of a broadcast of [`COUNT`] notifications, in one part.
fn events() -> Result<Vec<ProgressEvent>> {
    let (broadcast, part) = (load::broadcast()?.id, PartId::derive([load::SERVICE]));
    let labels = [(labels::PORT, "8080"), (labels::PATH, load::PATH)];
    let labels = HashMap::from(labels.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let target = labels::target(&labels)?.context("the labels opt in")?;
    let target = Arc::new(target);
    let endpoint = |n| {
        let mut member = Member::of_task(load::CLUSTER, &load::task(n));
        (member.service, member.container) = (load::SERVICE.to_owned(), load::CONTAINER.to_owned());
        let (member, target) = (Arc::new(member), Arc::clone(&target));
        Endpoint {
            member,
            address: ([10, 0, 0, 1], 8080).into(),
            target,
            is_starting: false,
            is_late: false,
            wave: None,
            zone: None,
        }
    };
    let endpoints: Vec<Endpoint> = (0..COUNT).map(endpoint).collect();
    let settled = endpoints.iter().map(|endpoint| ProgressEvent::Settled {
        broadcast: broadcast.clone(),
        trace: None,
        delivery: Delivery {
            outcome: Some(Outcome::Delivered),
            attempts: Some(1),
            status: Some(202),
            latency: Some(Duration::from_micros(700)),
            ..Delivery::from(endpoint)
        },
        age: Some(Duration::from_millis(90)),
    });
    let settled: Vec<_> = settled.collect();
    let found = ProgressEvent::Services {
        broadcast: broadcast.clone(),
        trace: None,
        parts: vec![part.clone()],
        not_targeted: Vec::new(),
        age: Some(Duration::ZERO),
    };
    let service = load::SERVICE.to_owned();
    let tasks =
        ProgressEvent::Tasks { broadcast, trace: None, part, service, endpoints, not_targeted: Vec::new() };
    Ok([found, tasks].into_iter().chain(settled).collect())
}
