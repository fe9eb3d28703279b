//! Live updates: a stream of server-sent events that says when a broadcast has changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use notifier::report::Counts;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::answer::Answer;
use super::feed::Snapshot;
use super::server::Weight;
use super::state::{Shared, fields, snapshot};
use super::view::broadcast::sentence;

/// Pause after which an empty comment keeps the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a viewer gets. The rows are loaded by the page itself.
#[derive(Serialize)]
struct Update {
    sentence: String,
    counts: Counts,
    is_over: bool,
}

/// One viewer.
struct Viewer {
    changes: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The update that was sent last; one without a change is not sent.
    last: String,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) async fn stream(
    State(page): Shared,
    RawQuery(query): RawQuery,
    Extension(weight): Extension<Weight>,
) -> Result<Response, Answer> {
    let fields = fields(query);
    let permit = Arc::clone(&page.streams).try_acquire_owned();
    let permit = permit
        .map_err(|_full| Answer::Busy("Too many viewers at once: load the page again to see changes."))?;
    // An unknown broadcast is an error at once, not a stream without events.
    let known = snapshot(&page, &fields).await?;
    weight.prolong();
    let mut changes = page.feed.watch(known.recorded.report.broadcast());
    changes.mark_changed();
    let viewer = Viewer { changes, last: String::new(), is_over: false, _permit: permit };
    let events = stream::unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive)).into_response())
}

impl Viewer {
    /// The next change; `None` after the end of the broadcast.
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        loop {
            // Fails when the poller has ended.
            self.changes.changed().await.ok()?;
            let Some(snapshot) = self.changes.borrow_and_update().clone() else { continue };
            let is_over = snapshot.is_over;
            let update = Update { sentence: sentence(&snapshot), counts: snapshot.overview.counts, is_over };
            let update = serde_json::to_string(&update).ok()?;
            if update != self.last {
                self.is_over = is_over;
                self.last.clone_from(&update);
                return Some(Event::default().data(update));
            }
        }
    }
}
