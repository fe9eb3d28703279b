//! `--failed-of`: an earlier broadcast, for those of its containers that were not told.

use notifier::base::Clock;
use notifier::ledger::{BroadcastRecord, Ledger, Recorded};
use notifier::pipeline::resend;
use notifier::report::{Counts, Report};
use wire::{Broadcast, BroadcastId, Draft};

use crate::args::{AllowArgs, EventArgs};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::render::units::count;
use crate::{conclusion, report};

/// An earlier broadcast that is made once more.
pub(crate) struct FailedOf {
    pub(crate) record: BroadcastRecord,
    pub(crate) recorded: Recorded,
    /// The same event under the same id.
    pub(crate) broadcast: Broadcast,
}

/// What is left to do of an earlier broadcast.
pub(crate) enum Again {
    /// These containers are called once more.
    To(Box<FailedOf>),
    /// Every container has an outcome that a further call would not change. These are the outcomes.
    Nobody(Counts),
}

/// The exit code where nobody is left to call: that of the earlier broadcast.
pub(crate) fn conclude(counts: Counts, allow: AllowArgs, console: &mut Console) -> Result<Exit, Failure> {
    let advice = || conclusion::ONLY_SKIPS.to_owned();
    conclusion::judge(counts, allow, &conclusion::no_labels("the scope of the broadcast"), advice, console)
}

impl FailedOf {
    /// Reads it out of the ledger. Says when nobody is left to call.
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
                .hint("send it anew: --cluster, --service and the event"));
        };
        if let Some(cancel) = &recorded.cancelled {
            let reason = cancel.reason.clone();
            return Err(notifier::pipeline::send::SendError::Cancelled { reason }.into());
        }
        let due = recorded.report.entries().iter().filter(|entry| resend::is_due(entry)).count();
        if due == 0 {
            console.say(&format!("broadcast {id} has no failed, rejected or pending container"));
            return Ok(Again::Nobody(recorded.report.counts()));
        }
        let broadcast = whole(&record, event)?;
        console.say(&format!("sending broadcast {id} again to {}", count(due, "container")));
        Ok(Again::To(Box::new(Self { record, recorded, broadcast })))
    }

    /// A report of nobody, for when nobody is left to tell.
    pub(crate) fn nobody(named: &BroadcastId) -> Report {
        Report::new(named.clone(), Vec::new())
    }
}

/// The event as the tasks were told it. The ledger leaves large data out, which is then given again.
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
