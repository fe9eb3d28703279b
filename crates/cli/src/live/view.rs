//! The content of the live display at one moment, from a broadcast's state or from the ledger. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use notifier::base::text::printable;
use notifier::ledger::Recorded;
use notifier::model::{Member, ServiceKey};
use notifier::report::{BroadcastState, Counts};

use crate::render::format::task;
use crate::render::names::ServiceNames;

/// Up to this number of pending containers are named; of more, only the services.
const PENDING_NAMED_MAX: usize = 3;

/// A broadcast at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) stage: Stage,
    /// Every service with a known container, in the order of names.
    pub(crate) services: Vec<Service>,
    /// The containers without an outcome, if only a few are left.
    pub(crate) last: Vec<String>,
    /// Time until the next retry; `None` if none is scheduled or known.
    pub(crate) retry_in: Option<Duration>,
    /// Requests to AWS that wait for the budget.
    pub(crate) budget_waits: usize,
    /// The latest wave and the number of waves.
    pub(crate) wave: Option<(u16, u16)>,
}

/// The stage of a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The ledger has no record of it.
    #[default]
    NotBegun,
    /// Service discovery.
    Services,
    /// Task discovery.
    Tasks,
    /// Deliveries.
    Calling,
    /// Interrupted; waits for the calls in flight.
    Stopping,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its name, printable.
    pub(crate) name: String,
    pub(crate) counts: Counts,
    /// Pending containers that were called before.
    pub(crate) retrying: usize,
}

impl View {
    /// The view of a broadcast's state.
    pub(crate) fn of_state(known: &BroadcastState, now: Instant) -> Self {
        let retrying = by_service(known.retrying());
        let found = known.services();
        let services = services(found.iter().map(|(key, counts)| (*key, *counts)), &retrying);
        let stage = match (services.is_empty(), known.is_surveyed()) {
            (true, false) => Stage::Services,
            (true, true) => Stage::Tasks,
            (false, _) => Stage::Calling,
        };
        let due = known.retry_due(now);
        Self {
            stage,
            services,
            // `pending` sorts: not worth it for a list that is not shown.
            last: if known.pending_count() > PENDING_NAMED_MAX { Vec::new() } else { last(known.pending()) },
            retry_in: due.map(|due| due - now),
            budget_waits: 0,
            wave: known.wave(),
        }
    }

    /// The view of a record in the ledger; `None` if the ledger has no record of the broadcast.
    pub(crate) fn of_ledger(found: Option<&Recorded>) -> Self {
        let Some(Recorded { report, .. }) = found else { return Self::default() };
        let pending = || report.entries().iter().filter(|entry| entry.outcome.is_none());
        let tried = pending().filter(|entry| entry.attempts.is_some_and(|attempts| attempts > 0));
        let retrying = by_service(tried.map(|entry| &*entry.member));
        let found = report.services();
        let services = services(found.iter().map(|service| (service.key, service.counts)), &retrying);
        Self {
            stage: if services.is_empty() { Stage::Tasks } else { Stage::Calling },
            services,
            last: last(pending().map(|entry| &*entry.member)),
            retry_in: None,
            budget_waits: 0,
            wave: report.latest_wave(),
        }
    }
}

fn services<'a>(
    services: impl Iterator<Item = (ServiceKey<'a>, Counts)> + Clone,
    retrying: &BTreeMap<ServiceKey<'_>, usize>,
) -> Vec<Service> {
    let names = ServiceNames::of(services.clone().map(|(key, _)| key));
    let service = |(key, counts)| Service {
        name: printable(&names.name(key), usize::MAX),
        counts,
        retrying: retrying.get(&key).copied().unwrap_or_default(),
    };
    services.map(service).collect()
}

/// The number of members by service.
fn by_service<'a>(members: impl Iterator<Item = &'a Member>) -> BTreeMap<ServiceKey<'a>, usize> {
    let mut services = BTreeMap::new();
    for member in members {
        *services.entry(member.service_key()).or_default() += 1;
    }
    services
}

/// The names of all pending containers, unless there are too many.
fn last<'a>(pending: impl IntoIterator<Item = &'a Member>) -> Vec<String> {
    let some: Vec<_> = pending.into_iter().take(PENDING_NAMED_MAX + 1).collect();
    if some.len() > PENDING_NAMED_MAX { Vec::new() } else { some.into_iter().map(name).collect() }
}

/// `search 54e4a733/app`, with the known parts.
fn name(member: &Member) -> String {
    let Member { service, task: arn, container, .. } = member;
    let place = [task(arn, false), container].into_iter().filter(|part| !part.is_empty());
    let place = place.collect::<Vec<_>>().join("/");
    let parts = [service.as_str(), &place].into_iter().filter(|part| !part.is_empty());
    printable(&parts.collect::<Vec<_>>().join(" "), usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use notifier::model::Delivery;
    use notifier::model::Outcome;
    use notifier::report::Report;

    use super::*;

    fn entry(service: &str, task: &str, outcome: Option<Outcome>, attempts: Option<u32>) -> Delivery {
        let container = if task.is_empty() { "" } else { "app" };
        let [service, task, container] = [service, task, container].map(str::to_owned);
        let member = Arc::new(Member { service, task, container, ..Member::default() });
        Delivery { member, outcome, attempts, ..Delivery::default() }
    }

    fn ledger(entries: Vec<Delivery>) -> View {
        let report = Report::new("b-1".to_owned().try_into().unwrap(), entries);
        let recorded = Recorded {
            broadcast: None,
            cancelled: None,
            stopped: None,
            found: BTreeMap::new(),
            heard: None,
            report,
            is_complete: false,
        };
        View::of_ledger(Some(&recorded))
    }

    #[test]
    fn a_ledger_knows_who_is_pending_and_who_of_them_was_called_before() {
        assert_eq!(View::of_ledger(None).stage, Stage::NotBegun);
        assert_eq!(ledger(Vec::new()).stage, Stage::Tasks);
        let view = ledger(vec![
            entry("web", "arn:task/prod/0123456789", None, Some(2)),
            entry("web", "arn:task/prod/1123456789", Some(Outcome::Failed), Some(3)),
            // Task discovery has not begun for this service.
            entry("api", "", None, None),
            entry("", "arn:task/prod/21\u{1b}", None, Some(0)),
        ]);
        let services: Vec<_> =
            view.services.iter().map(|s| (s.name.as_str(), s.counts.pending, s.retrying)).collect();
        assert_eq!(services, [("(no service)", 1, 0), ("api", 1, 0), ("web", 1, 1)]);
        assert_eq!(view.last, [r"21\u{1b}/app", "api", "web 01234567/app"]);
        assert_eq!((view.stage, view.retry_in), (Stage::Calling, None));
    }

    #[test]
    fn more_than_a_few_pending_containers_are_not_named() {
        let entry = |number: usize| entry("web", &format!("arn:{number}"), None, None);
        assert_eq!(ledger((0..3).map(entry).collect()).last.len(), 3);
        assert!(ledger((0..4).map(entry).collect()).last.is_empty());
    }
}
