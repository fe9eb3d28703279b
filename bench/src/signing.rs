//! What signing one attempt costs, by kind of key.

use anyhow::Result;
use wire::Envelope;
use wire::signature::{SigningKeys, hmac_key, key_pair};

use crate::figures::{per_call, quartiles};
use crate::load;
use crate::process::cpu_time;

/// Signatures of one sample.
const COUNT: u32 = 20_000;
/// Samples, of which the median counts.
const SAMPLES: u32 = 7;

/// Prints the processor time of signing one attempt.
pub(crate) fn run() -> Result<()> {
    // Benchmark keys: what they are does not change the cost.
    let (v1, v1a) = (hmac_key(&[7; 32]), key_pair(&[7; 32]).private);
    let both = format!("{} {}", *v1, *v1a);
    let [v1, v1a, both] = [v1.as_str(), v1a.as_str(), &both].map(cost);
    println!("signing one attempt: v1 {:.1} µs, v1a {:.1} µs, both {:.1} µs", v1?, v1a?, both?);
    Ok(())
}

/// In µs.
fn cost(keys: &str) -> Result<f64> {
    let keys = SigningKeys::parse(keys)?;
    let broadcast = load::broadcast()?;
    let audience = load::audience(&broadcast, load::task(0));
    let id = audience.delivery.clone();
    let body = serde_json::to_vec(&Envelope::new(broadcast.event, audience))?;
    let sample = |_| {
        let begin = cpu_time();
        for n in 0..COUNT {
            std::hint::black_box(keys.sign(&id, n.into(), std::hint::black_box(&body)));
        }
        per_call(cpu_time().saturating_sub(begin), COUNT)
    };
    let [_, median, _] = quartiles((0..SAMPLES).map(sample).collect());
    Ok(median)
}
