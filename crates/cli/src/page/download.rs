//! A broadcast as CSV or JSON, written piece by piece while the reader takes it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use notifier::report::Line;
use tokio::sync::OwnedSemaphorePermit;

use super::feed::Snapshot;
use super::query::Filter;
use crate::args::Format;
use crate::render::records;
use crate::summary;

/// Containers in one piece.
const PIECE_ROWS: usize = 500;

/// The state of one download.
struct Download {
    snapshot: Arc<Snapshot>,
    filter: Filter,
    format: Format,
    /// The next container to look at; `None` after the end.
    next: Option<usize>,
    _permit: OwnedSemaphorePermit,
}

/// The body of a download: the columns of `report`, for the containers of the filter.
pub(super) fn body(
    snapshot: Arc<Snapshot>,
    filter: Filter,
    format: Format,
    permit: OwnedSemaphorePermit,
) -> Body {
    let download = Download { snapshot, filter, format, next: Some(0), _permit: permit };
    Body::from_stream(stream::unfold(download, |mut download| async move {
        let piece = download.piece()?;
        Some((Ok::<_, Infallible>(piece), download))
    }))
}

impl Download {
    fn piece(&mut self) -> Option<Bytes> {
        let from = self.next?;
        let mut out = Vec::new();
        // Writing to memory cannot fail, and every row is text and numbers.
        self.write(from, &mut out).ok()?;
        Some(out.into())
    }

    fn write(&mut self, from: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let Self { snapshot, filter, format, next, .. } = self;
        let report = &snapshot.recorded.report;
        let rows = report.entries().get(from..).unwrap_or_default();
        let end = rows.len().min(PIECE_ROWS);
        let wanted = filter.matcher(&snapshot.overview);
        let lines = rows.iter().take(end).filter(|entry| wanted(entry));
        let wave = snapshot.overview.wave.map(|(wave, _)| wave);
        let lines = lines.map(|entry| Line::in_wave(entry, report.broadcast(), wave));
        records::part(out, *format, summary::in_format(lines, *format), from == 0)?;
        *next = (end < rows.len()).then_some(from + end);
        if next.is_none() {
            records::end(out, *format, &report.summary())?;
        }
        Ok(())
    }
}
