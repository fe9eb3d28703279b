//! What every request shares, and what it asks for.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use tokio::sync::Semaphore;

use super::access::Access;
use super::answer::Answer;
use super::feed::{Feed, Snapshot};
use super::query::Fields;
use super::redrive::Redriver;

/// The most bytes of a form.
const FORM_BYTES_MAX: usize = 4 * 1024;
/// Downloads at once.
const DOWNLOADS_MAX: usize = 4;
/// Open streams of live updates.
const STREAMS_MAX: usize = 16;

pub(super) type Shared = State<Arc<Page>>;

/// What every request shares.
pub(super) struct Page {
    pub(super) feed: Arc<Feed>,
    pub(super) access: Access,
    pub(super) allow_actions: bool,
    /// `None` without actions, or without queues.
    pub(super) redriver: Option<Arc<Redriver>>,
    pub(super) downloads: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
}

impl Page {
    pub(super) fn new(
        feed: Arc<Feed>,
        access: Access,
        allow_actions: bool,
        redriver: Option<Arc<Redriver>>,
    ) -> Self {
        let redriver = redriver.filter(|_| allow_actions);
        let downloads = Arc::new(Semaphore::new(DOWNLOADS_MAX));
        Self {
            feed,
            access,
            allow_actions,
            redriver,
            downloads,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }
}

pub(super) fn fields(query: Option<String>) -> Fields {
    Fields::parse(query.unwrap_or_default().as_bytes())
}

pub(super) async fn form(body: Body) -> Result<Fields, Answer> {
    let bytes = to_bytes(body, FORM_BYTES_MAX).await;
    let bytes = bytes
        .map_err(|_| Answer::Bad(format!("The form is larger than {FORM_BYTES_MAX} bytes, or broke off.")))?;
    Ok(Fields::parse(&bytes))
}

pub(super) async fn snapshot(page: &Page, fields: &Fields) -> Result<Arc<Snapshot>, Answer> {
    let id = fields.broadcast().map_err(Answer::Bad)?;
    let found = page.feed.snapshot(&id).await?;
    found.ok_or(Answer::NotFound("The ledger has no record of this broadcast."))
}
