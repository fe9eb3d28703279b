//! What was counted of the progress events so far. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::broadcasts::OpenBroadcasts;
use super::histogram::{ATTEMPT_SECONDS, BROADCAST_SECONDS, Histogram};
use crate::model::{Cause, Delivery, Member, Outcome, ProgressEvent};

/// Clusters with counts of their own; further ones are counted together.
const CLUSTERS_MAX: usize = 200;
/// Services with counts of their own, in all clusters; further ones are counted together.
const SERVICES_MAX: usize = 1_000;
/// The name of all further clusters and services.
const OTHER: &str = "other";
/// The result of a successful attempt; others have the word of their [`Cause`].
const ACCEPTED: &str = "accepted";
/// Durations that are kept one by one, for `CloudWatch`. A function works on at most a hundred messages at a time.
const SAMPLES_MAX: usize = 1_000;

/// Counts of one kind for each outcome, in the order of [`Outcome::ALL`].
pub(super) type OutcomeCounts = [u64; Outcome::ALL.len()];

/// The counts of a process, or of one invocation.
#[derive(Debug)]
pub struct Tally {
    is_by_service: bool,
    /// Few, so that they are compared one by one.
    places: Vec<Place>,
    services_known: usize,
    /// By result, in the order in which the results came.
    attempts: Vec<(&'static str, u64)>,
    pub(super) attempt_seconds: Histogram,
    pub(super) age_seconds: Histogram,
    pub(super) broadcast_seconds: Histogram,
    broadcasts: OpenBroadcasts,
    pub(super) retries: u64,
    pub(super) parts: u64,
    pub(super) endpoints: u64,
    pub(super) samples: Option<Samples>,
}

/// Single durations.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) attempts: Vec<Duration>,
    /// From the time of the event to the outcome.
    pub(super) ages: Vec<Duration>,
    /// From the time of the event until a delivery went back to its queue.
    pub(super) pending: Vec<Duration>,
}

/// A cluster of one account and region.
#[derive(Debug)]
struct Place {
    account: String,
    region: String,
    cluster: String,
    counts: OutcomeCounts,
    services: HashMap<String, OutcomeCounts>,
}

impl Place {
    fn new(account: &str, region: &str, cluster: &str) -> Self {
        let [account, region, cluster] = [account, region, cluster].map(str::to_owned);
        Self { account, region, cluster, counts: OutcomeCounts::default(), services: HashMap::new() }
    }

    fn is(&self, account: &str, region: &str, cluster: &str) -> bool {
        self.cluster == cluster && self.account == account && self.region == region
    }
}

/// The deliveries of one cluster, or of one service in it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deliveries<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) cluster: &'a str,
    /// `None` unless services are counted apart.
    pub(super) service: Option<&'a str>,
    pub(super) counts: OutcomeCounts,
}

impl Tally {
    /// Nothing was counted yet. With `is_by_service`, deliveries are counted for each service.
    pub fn new(is_by_service: bool) -> Self {
        Self {
            is_by_service,
            places: Vec::new(),
            services_known: 0,
            attempts: Vec::new(),
            attempt_seconds: Histogram::new(ATTEMPT_SECONDS),
            age_seconds: Histogram::new(BROADCAST_SECONDS),
            broadcast_seconds: Histogram::new(BROADCAST_SECONDS),
            broadcasts: OpenBroadcasts::default(),
            retries: 0,
            parts: 0,
            endpoints: 0,
            samples: None,
        }
    }

    /// The same, with every single duration.
    #[must_use]
    pub fn with_samples(self) -> Self {
        Self { samples: Some(Samples::default()), ..self }
    }

    /// Takes note of an event.
    pub fn note(&mut self, event: &ProgressEvent, now: Instant) {
        match event {
            ProgressEvent::Services { parts, .. } => self.parts += parts.len() as u64,
            ProgressEvent::Tasks { endpoints, .. } => self.endpoints += endpoints.len() as u64,
            ProgressEvent::Retrying { delivery, latency, age, .. } => {
                self.retries += 1;
                self.attempt(delivery, *latency);
                if let Some((samples, age)) = self.samples.as_mut().zip(*age) {
                    keep(&mut samples.pending, age);
                }
            }
            ProgressEvent::Wave { .. } => {}
            ProgressEvent::Skipped { delivery, .. } => self.outcome(delivery),
            ProgressEvent::Settled { delivery, age, .. } => {
                self.outcome(delivery);
                self.attempt(delivery, delivery.latency.filter(|_| is_request(delivery)));
                if let Some(age) = *age {
                    self.age_seconds.add(age);
                    if let Some(samples) = &mut self.samples {
                        keep(&mut samples.ages, age);
                    }
                }
            }
        }
        if let Some(took) = self.broadcasts.note(event, now) {
            self.broadcast_seconds.add(took);
        }
    }

    fn outcome(&mut self, delivery: &Delivery) {
        let Some(outcome) = delivery.outcome else { return };
        let Member { account, region, cluster, service, .. } = &*delivery.member;
        let known = self.places.iter().position(|place| place.is(account, region, cluster));
        let index = known.unwrap_or_else(|| {
            let place = if self.places.len() < CLUSTERS_MAX {
                Place::new(account, region, cluster)
            } else {
                Place::new("", "", OTHER)
            };
            let other = self.places.iter().position(|known| known.is("", "", &place.cluster));
            other.unwrap_or_else(|| {
                self.places.push(place);
                self.places.len() - 1
            })
        });
        let Some(place) = self.places.get_mut(index) else { return };
        let counts = if self.is_by_service {
            let services = &mut place.services;
            let is_new = !services.contains_key(service.as_str());
            let is_other = is_new && self.services_known >= SERVICES_MAX;
            self.services_known += usize::from(is_new && !is_other);
            services.entry(if is_other { OTHER.to_owned() } else { service.clone() }).or_default()
        } else {
            &mut place.counts
        };
        if let Some(count) = counts.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// Counts an attempt that made a request, which took this long.
    fn attempt(&mut self, delivery: &Delivery, latency: Option<Duration>) {
        let Some(latency) = latency else { return };
        let result = match (delivery.outcome, delivery.cause) {
            (Some(Outcome::Delivered), _) => ACCEPTED,
            (_, cause) => cause.unwrap_or(Cause::Answered).as_str(),
        };
        match self.attempts.iter_mut().find(|(known, _)| *known == result) {
            Some((_, count)) => *count += 1,
            None => self.attempts.push((result, 1)),
        }
        self.attempt_seconds.add(latency);
        if let Some(samples) = &mut self.samples {
            keep(&mut samples.attempts, latency);
        }
    }

    /// The deliveries of each cluster, or of each service, sorted.
    pub(super) fn deliveries(&self) -> Vec<Deliveries<'_>> {
        let mut all = Vec::new();
        for Place { account, region, cluster, counts, services } in &self.places {
            let of = |service, counts| Deliveries { account, region, cluster, service, counts };
            if self.is_by_service {
                all.extend(services.iter().map(|(service, counts)| of(Some(service.as_str()), *counts)));
            } else {
                all.push(of(None, *counts));
            }
        }
        all.sort();
        all
    }

    /// The sum of all deliveries.
    pub(super) fn outcomes(&self) -> OutcomeCounts {
        let mut sum = OutcomeCounts::default();
        for deliveries in self.deliveries() {
            sum.iter_mut().zip(deliveries.counts).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// The deliveries with this outcome.
    pub fn with_outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes().get(outcome as usize).copied().unwrap_or_default()
    }

    /// The attempts by result, sorted.
    pub(super) fn attempts(&self) -> Vec<(&'static str, u64)> {
        let mut attempts = self.attempts.clone();
        attempts.sort_unstable();
        attempts
    }
}

fn keep(samples: &mut Vec<Duration>, sample: Duration) {
    if samples.len() < SAMPLES_MAX {
        samples.push(sample);
    }
}

/// Whether the last attempt of a delivery that has ended made a request. A lookup of its task makes none, and neither does
/// giving up, which has no latency.
fn is_request(delivery: &Delivery) -> bool {
    let is_failure = matches!(
        delivery.cause,
        Some(
            Cause::Unreachable
                | Cause::ConnectTimedOut
                | Cause::TimedOut
                | Cause::Broken
                | Cause::NotHttp
                | Cause::Tls
        )
    );
    delivery.outcome == Some(Outcome::Delivered) || delivery.status.is_some() || is_failure
}

#[cfg(test)]
mod tests;
