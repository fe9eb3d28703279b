//! The waves after which a broadcast may be in its pause.

use std::collections::BTreeMap;

use crate::model::{Delivery, ServiceKey};

/// The waves after which somebody may want to continue, the likeliest first; empty if the broadcast has no wave to come.
///
/// In one process, all services are in the same wave. Through the queues, each service is in a wave of its own, and
/// those that are behind come first: a pause that was ended for a service is ended for all that come to it later.
pub fn pauses<'a>(entries: impl IntoIterator<Item = &'a Delivery>) -> Vec<u16> {
    let mut services = BTreeMap::<ServiceKey<'_>, BTreeMap<u16, bool>>::new();
    for entry in entries {
        let Some(number) = entry.wave else { continue };
        let has_begun = services.entry(entry.member.service_key()).or_default().entry(number).or_default();
        *has_begun |= entry.outcome.is_some() || entry.requests() > 0;
    }
    // The latest wave of each service that has begun, and the next one.
    let stands = services.values().filter_map(|waves| {
        let now = waves.iter().rev().find(|(_, has_begun)| **has_begun).map(|(number, _)| *number);
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
    use crate::model::{Member, Outcome};

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
    fn each_service_may_be_in_another_wave() {
        assert_eq!(after(&[&[1, 2, -3, -4], &[1, 4]]), [2], "the other one has ended");
        assert_eq!(after(&[&[1, 2, -3], &[1, -2, -3]]), [1, 2], "who is behind comes first");
        assert_eq!(after(&[&[1, 2, -3], &[1, -4]]), [2], "nobody waits after wave 1 in one process");
        assert_eq!(after(&[&[1, 2, 3], &[1, -2]]), [1]);
    }
}
