//! A plan: the targets of a broadcast, and why other containers are not called.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use notifier::aws::Aws;
use notifier::aws::budget::{PERCENT_MAX, Waits};
use notifier::fleet::{DiscoveryPolicy, Estimate};
use notifier::model::{Endpoint, Fleet, NotTargeted, ServiceKey};
use notifier::report::Line;
use serde::Serialize;
use wire::ObserverMessage;

use super::format::{count, digits, seconds};
use super::names::ServiceNames;
use super::report::{folded, place, who_and_why};
use super::style::{BOLD, DIM, GOOD, PLAIN, UNSURE};
use super::table::{Cell, Table};

/// The decision about a container or task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    /// Opted in, and callable.
    Call,
    /// Opted in, and not callable.
    Skip,
    /// Did not opt in, or does not run.
    Ignore,
}

/// A container or task as scripts read it: the columns of a report's [`Line`], and the columns of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Planned<'a> {
    broadcast: Option<&'a str>,
    account: Option<&'a str>,
    region: Option<&'a str>,
    cluster: Option<&'a str>,
    service: Option<&'a str>,
    task: Option<&'a str>,
    container: Option<&'a str>,
    address: Option<SocketAddr>,
    outcome: Option<&'static str>,
    reason: Option<Cow<'a, str>>,
    attempts: Option<u32>,
    status: Option<u16>,
    latency_ms: Option<f64>,
    decision: Option<Decision>,
    method: Option<&'static str>,
    url: Option<String>,
}

impl<'a> Planned<'a> {
    fn new(line: Line<'a>, decision: Decision) -> Self {
        let Line { broadcast, account, region, cluster, service, task, container, .. } = line;
        let Line { address, outcome, reason, .. } = line;
        let outcome = outcome.map(notifier::model::Outcome::as_str);
        let decision = Some(decision);
        Self {
            broadcast,
            account,
            region,
            cluster,
            service,
            task,
            container,
            address,
            outcome,
            reason,
            decision,
            ..Self::default()
        }
    }
}

/// The last line of a plan for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Number of containers that would be called.
    call: usize,
    /// Number of containers that opted in and cannot be called.
    skip: usize,
    /// Number of containers and tasks that did not opt in or do not run.
    ignore: usize,
    /// Requests to AWS, by service and operation.
    aws_calls: BTreeMap<String, u64>,
    /// Requests of a broadcast through the queues, by AWS's buckets.
    calls: BTreeMap<&'static str, u64>,
    /// The time that they take at least, in seconds.
    seconds: f64,
    #[serde(skip)]
    made: Estimate,
    #[serde(skip)]
    waits: Waits,
    #[serde(skip)]
    percent: f64,
}

impl Summary {
    pub(crate) fn new(fleet: &Fleet, scope: &ObserverMessage, policy: DiscoveryPolicy, aws: &Aws) -> Self {
        let counts = aws.calls.snapshot();
        let percent = aws.budget.percentage().unwrap_or(PERCENT_MAX);
        let broadcast = Estimate::of_broadcast(fleet, scope, policy, &counts, percent);
        Self {
            call: fleet.endpoints.len(),
            skip: fleet.skips.len(),
            ignore: fleet.not_targeted.len(),
            aws_calls: counts
                .iter()
                .map(|call| (format!("{} {}", call.service, call.operation), call.requests))
                .collect(),
            seconds: (broadcast.time.as_secs_f64() * 10.0).round() / 10.0,
            calls: broadcast.calls,
            made: Estimate::of_calls(&counts, percent),
            waits: aws.budget.waits(),
            percent,
        }
    }

    /// The same for people: two lines, then one for each of AWS's buckets and one for the time.
    pub(crate) fn text(&self) -> String {
        let Self { call, skip, ignore, aws_calls, .. } = self;
        let requests: u64 = aws_calls.values().sum();
        let each: Vec<String> = aws_calls.iter().map(|(name, number)| format!("{name} {number}")).collect();
        let each = if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) };
        format!(
            "{GOOD}{}{GOOD:#} would be called, {UNSURE}{} skipped{UNSURE:#}, {} ignored\n{DIM}{} to AWS{each}{DIM:#}",
            count(*call, "container"),
            digits(*skip),
            digits(*ignore),
            count(usize::try_from(requests).unwrap_or(usize::MAX), "call"),
        ) + &self.buckets()
    }

    /// What this plan cost, and what a broadcast through the queues costs.
    fn buckets(&self) -> String {
        let names: BTreeSet<&str> = self.made.calls.keys().chain(self.calls.keys()).copied().collect();
        if names.is_empty() {
            return String::new();
        }
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        let number = |calls: &BTreeMap<&str, u64>, name: &str| {
            digits(usize::try_from(calls.get(name).copied().unwrap_or_default()).unwrap_or(usize::MAX))
        };
        let line = |name: &str, made: &str, broadcast: &str| {
            format!("\n{DIM}{name:width$}  {made:>9}  {broadcast:>9}{DIM:#}")
        };
        let mut text = line("calls by bucket", "this plan", "broadcast");
        for name in names {
            text += &line(name, &number(&self.made.calls, name), &number(&self.calls, name));
        }
        let waited = usize::try_from(self.waits.calls).unwrap_or(usize::MAX);
        let waited = match waited {
            0 => "no call of this plan waited".to_owned(),
            _ => format!("{} of this plan waited", count(waited, "call")),
        };
        let time = seconds(self.seconds);
        let percent = self.percent;
        text + &format!(
            "\n{DIM}at {percent} % of AWS's rate {waited}; a broadcast through the queues takes at least {time} for its calls{DIM:#}"
        )
    }
}

/// Every container and task of the fleet, in the order of services and tasks.
pub(crate) fn records(fleet: &Fleet) -> Vec<Planned<'_>> {
    let calls = fleet.endpoints.iter().map(|endpoint| Planned {
        method: Some(endpoint.target.method.as_str()),
        url: Some(url(endpoint)),
        ..Planned::new(Line::of_endpoint(endpoint), Decision::Call)
    });
    let skips = fleet.skips.iter().map(|skip| Planned::new(Line::of_delivery(skip, None), Decision::Skip));
    let ignored = fleet.not_targeted.iter().map(|b| Planned::new(Line::of_not_targeted(b), Decision::Ignore));
    let mut all: Vec<_> = calls.chain(skips).chain(ignored).collect();
    all.sort_by_key(|one| (one.account, one.region, one.cluster, one.service, one.task, one.container));
    all
}

fn url(endpoint: &Endpoint) -> String {
    format!("{}://{}{}", endpoint.target.scheme.as_str(), endpoint.address, endpoint.target.path)
}

/// The plan as text. Ignored containers and many skips are counted by reason; `in_full` names each with its full task id.
pub(crate) fn text(fleet: &Fleet, columns: Option<usize>, in_full: bool) -> String {
    let mut services = BTreeMap::<ServiceKey<'_>, Members<'_>>::new();
    for endpoint in &fleet.endpoints {
        services.entry(endpoint.member.service_key()).or_default().calls.push(endpoint);
    }
    for skip in &fleet.skips {
        services.entry(skip.member.service_key()).or_default().skips.push(Line::of_delivery(skip, None));
    }
    for not_targeted in &fleet.not_targeted {
        services.entry(not_targeted.member.service_key()).or_default().ignored.push(not_targeted);
    }
    let names = ServiceNames::of(services.keys().copied());
    let mut table = Table::default();
    for (service, members) in services {
        let name = names.name(service);
        table.row(
            0,
            [Cell::new(name, BOLD), Cell::new(format!("{} to call", digits(members.calls.len())), DIM)],
        );
        members.rows(&mut table, in_full);
    }
    table.render(columns)
}

/// The containers and tasks of one service.
#[derive(Default)]
struct Members<'a> {
    calls: Vec<&'a Endpoint>,
    skips: Vec<Line<'a>>,
    ignored: Vec<&'a NotTargeted>,
}

impl Members<'_> {
    fn rows(self, table: &mut Table, in_full: bool) {
        let mut row = |(word, style), place: String, text: String| {
            table.row(1, [Cell::new(word, style), Cell::new(place, DIM), Cell::from(text)]);
        };
        for endpoint in &self.calls {
            let line = Line::of_endpoint(endpoint);
            let request = format!("{} {}", endpoint.target.method.as_str(), url(endpoint));
            row(("call", GOOD), place(&line, in_full), request);
        }
        for lines in folded(self.skips, in_full) {
            let (who, why) = who_and_why(&lines, in_full);
            row(("skip", UNSURE), who, why);
        }
        if in_full {
            for not_targeted in &self.ignored {
                let line = Line::of_not_targeted(not_targeted);
                row(("ignore", PLAIN), place(&line, true), not_targeted.reason.to_string());
            }
            return;
        }
        let mut reasons = BTreeMap::<String, usize>::new();
        for not_targeted in &self.ignored {
            *reasons.entry(not_targeted.reason.to_string()).or_default() += 1;
        }
        for (reason, number) in reasons {
            row(("ignore", PLAIN), digits(number), reason);
        }
    }
}
