//! The figures of one broadcast, computed once for each read of the ledger. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notifier::ledger::Recorded;
use notifier::model::{Cause, Outcome, ServiceKey};
use notifier::report::answers::KeptAnswers;
use notifier::report::{Counts, Percentiles, Report, WaveReport, advice_in_wave};

use crate::render::names::ServiceNames;

/// Upper bounds of the histogram's buckets, in milliseconds; a last bucket has the rest.
const BUCKETS_MS: [u64; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// The figures of one broadcast.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Overview {
    pub(crate) counts: Counts,
    /// How fast those answered that were delivered to.
    pub(crate) latency: Option<Percentiles<Duration>>,
    pub(crate) attempts: Option<Percentiles<u32>>,
    /// Services with a problem come first.
    pub(crate) services: Vec<Service>,
    pub(crate) advice: Vec<Advice>,
    /// The causes that occur.
    pub(crate) causes: Vec<Cause>,
    /// Without empty buckets at both ends.
    pub(crate) histogram: Vec<Bucket>,
    /// Time from the request to the latest record.
    pub(crate) took: Option<Duration>,
    /// Containers whose tasks started after discovery.
    pub(crate) late: usize,
    /// Empty if all containers are called at once.
    pub(crate) waves: Vec<WaveReport>,
    /// The latest wave that has begun, and the last one.
    pub(crate) wave: Option<(u16, u16)>,
    /// The waves after which a service waits for its next one.
    pub(crate) waits: BTreeSet<u16>,
    /// The recorded answers to a question.
    pub(crate) answers: Option<KeptAnswers>,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Service {
    pub(crate) key: Key,
    /// As short as possible, but unique in the broadcast.
    pub(crate) name: String,
    pub(crate) counts: Counts,
    pub(crate) latency: Option<Percentiles<Duration>>,
}

/// An owned [`ServiceKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) cluster: String,
    pub(crate) service: String,
}

impl Key {
    fn of(key: ServiceKey<'_>) -> Self {
        let [account, region, cluster, service] =
            [key.account, key.region, key.cluster, key.service].map(str::to_owned);
        Self { account, region, cluster, service }
    }

    pub(crate) fn is(&self, key: ServiceKey<'_>) -> bool {
        let Self { account, region, cluster, service } = self;
        key == ServiceKey { account, region, cluster, service }
    }
}

/// What to do about some of the containers that were not notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) cause: Option<Cause>,
    /// What they answered.
    pub(crate) statuses: BTreeSet<u16>,
    pub(crate) number: usize,
    pub(crate) text: &'static str,
}

/// Containers that answered within a range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) from_ms: u64,
    /// `None` without an upper bound.
    pub(crate) below_ms: Option<u64>,
    pub(crate) number: usize,
}

impl Overview {
    pub(crate) fn of(recorded: &Recorded) -> Self {
        let report = &recorded.report;
        let mut services = report.services();
        services.sort_by_key(|service| trouble(service.counts));
        let names = ServiceNames::of(services.iter().map(|service| service.key));
        let services = services.into_iter().map(|service| Service {
            key: Key::of(service.key),
            name: names.name(service.key),
            counts: service.counts,
            latency: service.latency,
        });
        let causes: BTreeSet<_> = report
            .entries()
            .iter()
            .filter_map(|entry| entry.cause)
            .map(|cause| (cause.as_str(), cause))
            .collect();
        Self {
            counts: report.counts(),
            latency: report.latency(),
            attempts: report.attempts(),
            services: services.collect(),
            advice: advices(report),
            causes: causes.into_iter().map(|(_, cause)| cause).collect(),
            histogram: histogram(report),
            took: took(recorded),
            late: report.late(),
            waves: report.waves(),
            wave: report.latest_wave(),
            waits: waits(report),
            answers: report.kept_answers(),
        }
    }
}

/// The waves after which a service waits: all that has begun of it has ended, and another wave follows.
fn waits(report: &Report) -> BTreeSet<u16> {
    let mut services = BTreeMap::<ServiceKey<'_>, BTreeMap<u16, (bool, bool)>>::new();
    for entry in report.entries() {
        let Some(wave) = entry.wave else { continue };
        let waves = services.entry(entry.member.service_key()).or_default();
        let (has_begun, is_pending) = waves.entry(wave).or_default();
        *has_begun |= entry.outcome.is_some() || entry.requests() > 0;
        *is_pending |= entry.outcome.is_none();
    }
    let after = |waves: &BTreeMap<u16, (bool, bool)>| {
        let (wave, _) = waves.iter().rev().find(|(_, (has_begun, _))| *has_begun)?;
        let has_ended = waves.range(..=wave).all(|(_, (_, is_pending))| !is_pending);
        let is_last = waves.keys().next_back() == Some(wave);
        (has_ended && !is_last).then_some(*wave)
    };
    services.values().filter_map(after).collect()
}

/// The order of services: first those with a container that was not notified, then those with a skipped container.
fn trouble(counts: Counts) -> u8 {
    match counts {
        Counts { failed: 0, rejected: 0, pending: 0, skipped: 0, .. } => 2,
        Counts { failed: 0, rejected: 0, pending: 0, .. } => 1,
        _ => 0,
    }
}

/// One advice for each outcome and cause, most containers first; pending containers come last.
fn advices(report: &Report) -> Vec<Advice> {
    let mut groups = BTreeMap::<_, Advice>::new();
    let wave = report.latest_wave().map(|(wave, _)| wave);
    for entry in report.entries() {
        let Some(text) = advice_in_wave(entry, wave) else { continue };
        let cause = entry.cause;
        let key = (entry.outcome.map(Outcome::as_str), cause.map(Cause::as_str), text);
        let new = || Advice { outcome: entry.outcome, cause, statuses: BTreeSet::new(), number: 0, text };
        let group = groups.entry(key).or_insert_with(new);
        group.number += 1;
        let answered = matches!(cause, None | Some(Cause::Answered));
        group.statuses.extend(entry.status.filter(|_| answered));
    }
    let mut all: Vec<_> = groups.into_values().collect();
    all.sort_by_key(|advice| (advice.outcome.is_none(), std::cmp::Reverse(advice.number)));
    all
}

fn histogram(report: &Report) -> Vec<Bucket> {
    let mut numbers = [0; BUCKETS_MS.len() + 1];
    for entry in report.entries().iter().filter(|entry| entry.outcome == Some(Outcome::Delivered)) {
        let Some(latency) = entry.latency else { continue };
        let place = BUCKETS_MS.partition_point(|bound| latency >= Duration::from_millis(*bound));
        if let Some(number) = numbers.get_mut(place) {
            *number += 1;
        }
    }
    let bounds = std::iter::once(0).chain(BUCKETS_MS);
    let upper = BUCKETS_MS.into_iter().map(Some).chain([None]);
    let all = bounds.zip(upper).zip(numbers);
    let mut all: Vec<_> =
        all.map(|((from_ms, below_ms), number)| Bucket { from_ms, below_ms, number }).collect();
    let is_used = |bucket: &Bucket| bucket.number > 0;
    let end = all.iter().rposition(is_used).map_or(0, |last| last + 1);
    all.truncate(end);
    all.split_off(all.iter().position(is_used).unwrap_or_default())
}

/// Time from the request to the latest record, to the second.
fn took(recorded: &Recorded) -> Option<Duration> {
    let seconds = recorded.heard?.unix_timestamp() - recorded.broadcast.as_ref()?.asked_at.div_euclid(1_000);
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use notifier::model::{Delivery, Member};
    use wire::BroadcastId;

    use super::*;

    fn overview(entries: Vec<Delivery>) -> Overview {
        let report = Report::new(BroadcastId::try_from("b-1".to_owned()).unwrap(), entries);
        Overview::of(&Recorded {
            broadcast: None,
            cancelled: None,
            stopped: None,
            found: BTreeMap::new(),
            heard: None,
            report,
            is_complete: true,
        })
    }

    fn entry(service: &str, outcome: Option<Outcome>, cause: Option<Cause>, latency_ms: u64) -> Delivery {
        let member = Member { service: service.to_owned(), cluster: "prod".to_owned(), ..Member::default() };
        let latency = Some(Duration::from_millis(latency_ms));
        Delivery { member: Arc::new(member), outcome, cause, latency, ..Delivery::default() }
    }

    #[test]
    fn services_with_problems_come_first_and_advice_is_by_cause() {
        let seen = overview(vec![
            entry("a", Some(Outcome::Delivered), None, 3),
            entry("b", Some(Outcome::Skipped), Some(Cause::Health), 0),
            entry("c", Some(Outcome::Failed), Some(Cause::TimedOut), 0),
            entry("c", Some(Outcome::Failed), Some(Cause::Unreachable), 0),
            entry("c", Some(Outcome::Failed), Some(Cause::Unreachable), 0),
            entry("c", None, None, 0),
        ]);
        assert_eq!(
            seen.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(),
            ["c", "b", "a"]
        );
        let advice: Vec<_> = seen.advice.iter().map(|one| (one.number, one.cause)).collect();
        assert_eq!(advice[0], (2, Some(Cause::Unreachable)));
        assert_eq!(advice.last().unwrap(), &(1, None), "the pending container comes last");
        assert_eq!(seen.causes, [Cause::Health, Cause::TimedOut, Cause::Unreachable]);
    }

    #[test]
    fn a_service_waits_when_its_wave_has_ended_and_another_follows() {
        let of_wave =
            |service, wave, outcome| Delivery { wave: Some(wave), ..entry(service, outcome, None, 1) };
        let (ended, pending) = (Some(Outcome::Delivered), None);
        let waits = |entries| overview(entries).waits.into_iter().collect::<Vec<_>>();
        assert_eq!(waits(vec![of_wave("a", 1, ended), of_wave("a", 2, pending)]), [1]);
        let behind = vec![
            of_wave("a", 1, ended),
            of_wave("a", 2, pending),
            of_wave("b", 1, ended),
            of_wave("b", 2, ended),
            of_wave("b", 3, pending),
            of_wave("c", 1, ended),
        ];
        assert_eq!(waits(behind), [1, 2]);
        assert!(waits(vec![of_wave("a", 1, pending), of_wave("a", 2, pending)]).is_empty());
        let running = vec![
            of_wave("a", 1, ended),
            of_wave("a", 2, ended),
            of_wave("a", 2, pending),
            of_wave("a", 3, pending),
        ];
        assert!(waits(running).is_empty());
    }

    #[test]
    fn the_histogram_has_the_used_range_of_delivered_containers() {
        let delivered = |ms| entry("a", Some(Outcome::Delivered), None, ms);
        let seen = overview(vec![
            delivered(5),
            delivered(9),
            delivered(20),
            entry("a", Some(Outcome::Failed), None, 900),
        ]);
        let buckets: Vec<_> =
            seen.histogram.iter().map(|one| (one.from_ms, one.below_ms, one.number)).collect();
        assert_eq!(buckets, [(5, Some(10), 2), (10, Some(20), 0), (20, Some(50), 1)]);
        assert_eq!(overview(Vec::new()).histogram, []);
        let longest = overview(vec![delivered(40_000)]).histogram;
        assert_eq!(longest, [Bucket { from_ms: 30_000, below_ms: None, number: 1 }]);
    }
}
