//! `--failed-of`: an earlier broadcast again, for the containers that it did not notify.

use notifier::base::Clock;
use notifier::ledger::{BroadcastRecord, Ledger, Recorded};
use notifier::pipeline::resend;
use notifier::report::{Counts, Report};
use wire::{Broadcast, BroadcastId, Draft};

use crate::args::{AllowArgs, EventArgs};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::format::count;
use crate::{report, summary};

/// An earlier broadcast that is sent again.
pub(crate) struct FailedOf {
    pub(crate) record: BroadcastRecord,
    pub(crate) recorded: Recorded,
    /// The same event under the same id.
    pub(crate) broadcast: Broadcast,
}

/// The remaining work of an earlier broadcast.
pub(crate) enum Again {
    /// These containers are called again.
    To(Box<FailedOf>),
    /// Every container has an outcome that a further call would not change. These are the outcomes.
    Nobody(Counts),
}

/// The exit code if no container is left to call: that of the earlier broadcast.
pub(crate) fn conclude(counts: Counts, allow: AllowArgs, console: &mut Console) -> Result<Exit, Failure> {
    let advice = || summary::ONLY_SKIPS.to_owned();
    summary::judge(counts, allow, &summary::no_labels("the scope of the broadcast"), advice, console)
}

impl FailedOf {
    /// Reads it from the ledger. Writes a note if no container is left to call.
    pub(crate) async fn load(
        ledger: &Ledger,
        named: &BroadcastId,
        event: &EventArgs,
        console: &mut Console,
    ) -> Result<Again, Failure> {
        let id = report::resolve(ledger, named, console).await?;
        let Some(recorded) = ledger.read(&id).await? else { return Err(report::unknown(&id)) };
        let Some(record) = recorded.broadcast.clone() else {
            return Err(Failure::usage(format!("the ledger does not have the event of broadcast {id}"))
                .hint("send it as a new broadcast, with --cluster, --service and the event"));
        };
        if let Some(cancel) = &recorded.cancelled {
            let reason = cancel.reason.clone();
            return Err(notifier::pipeline::send::SendError::Cancelled { reason }.into());
        }
        if let Some(stopped) = &recorded.stopped {
            return Err(notifier::pipeline::send::SendError::Stopped(stopped.clone()).into());
        }
        resend::check(&record, &recorded)?;
        let due = recorded.report.entries().iter().filter(|entry| resend::is_due(entry)).count();
        if due == 0 {
            console.note(&format!("broadcast {id} has no failed, rejected or pending container"));
            return Ok(Again::Nobody(recorded.report.counts()));
        }
        let broadcast = whole(&record, event)?;
        console.note(&format!("sending broadcast {id} again to {}", count(due, "container")));
        Ok(Again::To(Box::new(Self { record, recorded, broadcast })))
    }

    /// An empty report, for when no container is left to notify.
    pub(crate) fn empty_report(named: &BroadcastId) -> Report {
        Report::new(named.clone(), Vec::new())
    }
}

/// The event as it was sent. The ledger leaves large data out, so `event` must have it.
fn whole(record: &BroadcastRecord, event: &EventArgs) -> Result<Broadcast, Failure> {
    match (record.broadcast(), record.data_left_out, event.data()?) {
        (Some(broadcast), _, None) => Ok(broadcast),
        (Some(_), _, Some(_)) => Err(Failure::usage("the ledger has the event's data; leave --data out")),
        (None, bytes, None) => {
            let bytes = count(bytes.unwrap_or_default(), "byte");
            Err(Failure::usage(format!("the ledger does not have the event's data, which were {bytes}"))
                .hint("give the same data again: --data JSON"))
        }
        (None, _, data) => {
            let mut draft = Draft::from(record.event.clone());
            draft.data = data;
            let event = draft.complete(&record.id, Clock::system().now());
            let event = event.map_err(|error| Failure::usage(error.to_string()).because(&error))?;
            Ok(Broadcast::new(event))
        }
    }
}
