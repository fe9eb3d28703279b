//! The waves after which a broadcast may be in its pause.

use std::collections::BTreeMap;

use crate::model::{Delivery, Outcome, ServiceKey};

/// The waves after which somebody may want to continue, the likeliest first; empty if the broadcast has no wave to come.
///
/// In one process, all services are in the same wave. Through the queues, each service is in a wave of its own, and
/// those that are behind come first: a pause that was ended for a service is ended for all that come to it later.
///
/// A wave has begun when one of its containers was called. One whose containers were all gone before a call may have begun or not,
/// so the pause after it comes last.
pub fn pauses<'a>(entries: impl IntoIterator<Item = &'a Delivery>) -> Vec<u16> {
    let mut services = BTreeMap::<ServiceKey<'_>, BTreeMap<u16, Wave>>::new();
    for entry in entries {
        let Some(number) = entry.wave else { continue };
        let wave = services.entry(entry.member.service_key()).or_default().entry(number).or_default();
        let is_called = |outcome| matches!(outcome, Outcome::Delivered | Outcome::Failed | Outcome::Rejected);
        wave.is_called |= entry.requests() > 0 || entry.outcome.is_some_and(is_called);
        wave.is_pending |= entry.outcome.is_none();
    }
    let mut pauses = after(&services, |wave| wave.is_called);
    let others = after(&services, |wave| wave.is_called || !wave.is_pending);
    let others: Vec<u16> = others.into_iter().filter(|wave| !pauses.contains(wave)).collect();
    pauses.extend(others);
    pauses
}

/// What is recorded of the containers of a service in one wave.
#[derive(Debug, Default)]
struct Wave {
    is_called: bool,
    is_pending: bool,
}

fn after(
    services: &BTreeMap<ServiceKey<'_>, BTreeMap<u16, Wave>>,
    has_begun: impl Fn(&Wave) -> bool,
) -> Vec<u16> {
    // The latest wave of each service that has begun, and the next one.
    let stands = services.values().filter_map(|waves| {
        let now = waves.iter().rev().find(|(_, wave)| has_begun(wave)).map(|(number, _)| *number);
        let now = now.or_else(|| waves.keys().next().copied())?;
        Some((now, waves.range(now + 1..).next().map(|(number, _)| *number)))
    });
    let stands: Vec<_> = stands.collect();
    let Some(latest) = stands.iter().map(|(now, _)| *now).max() else { return Vec::new() };
    let to_come = stands.iter().filter_map(|(now, next)| next.map(|next| (*now, next)));
    let mut pauses: Vec<u16> =
        to_come.clone().filter(|(_, next)| *next <= latest).map(|(now, _)| now).collect();
    pauses.sort_unstable();
    pauses.dedup();
    // In one process, a service without tasks in the latest wave waits with the others.
    if to_come.clone().any(|(_, next)| next > latest) {
        pauses.push(latest);
    }
    pauses
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Member;

    /// Services as `web: 1 2 -3`: a wave with a minus has not begun.
    fn after(services: &[&[i16]]) -> Vec<u16> {
        let entries = services.iter().enumerate().flat_map(|(service, waves)| {
            waves.iter().enumerate().map(move |(task, wave)| Delivery {
                member: Arc::new(Member {
                    service: format!("s{service}"),
                    task: format!("arn:{task}"),
                    ..Member::default()
                }),
                outcome: (*wave > 0).then_some(Outcome::Delivered),
                wave: Some(wave.unsigned_abs()),
                ..Delivery::default()
            })
        });
        let entries: Vec<_> = entries.collect();
        pauses(&entries)
    }

    #[test]
    fn a_pause_follows_the_latest_wave_that_has_begun() {
        assert_eq!(after(&[&[1, -2, -3]]), [1]);
        assert_eq!(after(&[&[1, 2, -3]]), [2]);
        assert_eq!(after(&[&[-1, -2]]), [1], "in advance");
        assert_eq!(after(&[&[1, 2, 3]]), [0; 0], "in its last wave");
        assert_eq!(after(&[]), [0; 0]);
    }

    #[test]
    fn a_wave_has_begun_when_it_was_called_and_perhaps_when_all_its_containers_are_gone() {
        let entry = |task: usize, wave, outcome| Delivery {
            member: Arc::new(Member { task: format!("arn:{task}"), ..Member::default() }),
            outcome,
            wave: Some(wave),
            ..Delivery::default()
        };
        let first = entry(0, 1, Some(Outcome::Delivered));
        let gone = entry(1, 2, Some(Outcome::Gone));
        let last = entry(3, 3, None);
        assert_eq!(pauses([&first, &gone, &entry(2, 2, None), &last]), [1]);
        assert_eq!(pauses([&first, &gone, &last]), [1, 2]);
        assert_eq!(pauses([&first, &gone, &entry(2, 2, Some(Outcome::Failed)), &last]), [2]);
    }

    #[test]
    fn each_service_may_be_in_another_wave() {
        assert_eq!(after(&[&[1, 2, -3, -4], &[1, 4]]), [2], "the other one has ended");
        assert_eq!(after(&[&[1, 2, -3], &[1, -2, -3]]), [1, 2], "who is behind comes first");
        assert_eq!(after(&[&[1, 2, -3], &[1, -4]]), [2], "nobody waits after wave 1 in one process");
        assert_eq!(after(&[&[1, 2, 3], &[1, -2]]), [1]);
    }
}
