//! Ctrl-C and SIGTERM during a broadcast of this process: no further container is called, and the report shows the
//! outcomes so far.

use std::time::Duration;

use notifier::pipeline::send::SendError;
use notifier::report::Report;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::live::{Shared, locked};
use crate::stop::Stop;
use crate::summary;

/// Time limit for the end of an interrupted broadcast: the grace time of the calls in flight, and the ledger's writes.
const END_MAX: Duration = Duration::from_secs(10);
/// Time for the report, before another signal ends the process at once.
const LEAVE_AFTER: Duration = Duration::from_secs(1);

/// How a broadcast ended.
pub(crate) enum Ended {
    /// It completed, or failed with an error.
    Done(Result<Report, SendError>),
    /// It was interrupted before any call.
    BeforeCalls,
    /// It was interrupted; `None` if it did not end in time, or was interrupted again.
    Interrupted(Option<Result<Report, SendError>>),
}

/// Waits for a broadcast, and cancels `stop` at the first signal. `state` says whether discovery has ended.
pub(crate) async fn or_ended(
    sending: impl Future<Output = Result<Report, SendError>>,
    mut signals: Stop,
    stop: &CancellationToken,
    state: &Shared,
) -> Ended {
    let ended = ended(
        sending,
        async || {
            signals.next().await;
        },
        stop,
        state,
    )
    .await;
    leave_at_the_next(signals);
    ended
}

async fn ended(
    sending: impl Future<Output = Result<Report, SendError>>,
    mut signal: impl AsyncFnMut(),
    stop: &CancellationToken,
    state: &Shared,
) -> Ended {
    let mut sending = std::pin::pin!(sending);
    tokio::select! {
        done = &mut sending => Ended::Done(done),
        () = signal() => {
            if locked(state).is_surveyed() {
                stop.cancel();
                tokio::select! {
                    done = &mut sending => Ended::Interrupted(Some(done)),
                    () = signal() => Ended::Interrupted(None),
                    () = tokio::time::sleep(END_MAX) => Ended::Interrupted(None),
                }
            } else {
                Ended::BeforeCalls
            }
        }
    }
}

/// Ends the process at the next signal: nothing else handles it now, and output may block on a reader that has stopped.
pub(crate) fn leave_at_the_next(mut signals: Stop) {
    tokio::spawn(async move {
        tokio::time::sleep(LEAVE_AFTER).await;
        signals.next().await;
        std::process::exit(Exit::Unsuccessful as i32);
    });
}

impl Ended {
    /// The report, and whether the broadcast was interrupted before all containers had an outcome. If the broadcast
    /// failed after some calls, shows their report first.
    pub(crate) fn report(self, state: &Shared, console: &mut Console) -> Result<(Report, bool), Failure> {
        let (done, was_interrupted) = match self {
            Self::Done(done) => (done, false),
            Self::BeforeCalls => {
                return Err(Failure::unsuccessful("interrupted: no task was called")
                    .hint("discovery had not ended; run the same command again"));
            }
            Self::Interrupted(done) => (done.unwrap_or_else(|| Ok(locked(state).report())), true),
        };
        if let Err(SendError::Incomplete { report, .. }) = &done {
            summary::show(report, console)?;
        }
        let report = done?;
        let is_cut = was_interrupted && report.counts().pending > 0;
        Ok((report, is_cut))
    }
}

/// The error of an interrupted broadcast, and how to continue.
pub(crate) fn failure(report: &Report, is_recorded: bool) -> Failure {
    let failure = Failure::unsuccessful(summary::interrupted(report.counts()));
    let id = report.broadcast();
    if is_recorded {
        return failure.hint(summary::go_on(id));
    }
    failure.hint(format!(
        "the same command with --id {id} calls every container again, and receivers recognise the repeat; with \
         --ledger, `send --failed-of` calls only the rest"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use notifier::model::ProgressEvent;
    use notifier::report::BroadcastState;

    use super::*;

    fn state(events: &[ProgressEvent]) -> Shared {
        let mut state = BroadcastState::new("b-1".to_owned().try_into().unwrap());
        for event in events {
            state.note(event);
        }
        Arc::new(Mutex::new(state))
    }

    fn surveyed() -> ProgressEvent {
        let broadcast = "b-1".to_owned().try_into().unwrap();
        ProgressEvent::Services {
            broadcast,
            trace: None,
            parts: Vec::new(),
            not_targeted: Vec::new(),
            age: None,
        }
    }

    #[tokio::test]
    async fn a_second_signal_ends_what_does_not_end_by_itself() {
        let stop = CancellationToken::new();
        let ended = ended(std::future::pending(), async || (), &stop, &state(&[surveyed()])).await;
        assert!(matches!(ended, Ended::Interrupted(None)) && stop.is_cancelled());
    }

    #[tokio::test]
    async fn the_first_signal_waits_for_the_end_unless_discovery_has_not_ended() {
        let (stop, steps) = (CancellationToken::new(), state(&[surveyed()]));
        let report = || Report::new("b-1".to_owned().try_into().unwrap(), Vec::new());
        let mut signals = 0;
        let mut once = async || {
            signals += 1;
            if signals > 1 {
                std::future::pending::<()>().await;
            }
        };
        let sending = async {
            stop.cancelled().await;
            Ok(report())
        };
        let end = ended(sending, &mut once, &stop, &steps).await;
        assert!(matches!(end, Ended::Interrupted(Some(Ok(_)))));
        let stop = CancellationToken::new();
        let end = ended(std::future::pending(), async || (), &stop, &state(&[])).await;
        assert!(matches!(end, Ended::BeforeCalls) && !stop.is_cancelled());
    }
}
