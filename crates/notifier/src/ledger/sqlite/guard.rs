//! Whether the file on the disk is still the one that was opened, and whether the disk has room for what follows a call.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Free space below which no task is called any more: room for the outcomes of calls in flight.
///
/// A record changes up to three pages of 4 KiB, and 1,024 calls are under way at most.
pub(super) const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Reads how many bytes this user may still write to the disk that holds a path.
pub(super) type FreeBytes = Box<dyn Fn(&Path) -> io::Result<u64> + Send>;

/// Why a ledger's file was not used, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(
        "the file was deleted or replaced while this process used it; stop the process, put the file back or start with a new one"
    )]
    Replaced,
    #[error(
        "the file's log, which ends in `-wal`, was deleted or replaced while this process used it; stop the process, and note that \
         outcomes may be missing"
    )]
    LogReplaced,
    #[error("the disk has {free} bytes left, and recording outcomes needs {FREE_BYTES_MIN}; free some space")]
    Full { free: u64 },
}

/// Knows the file that was opened.
pub(super) struct Guard {
    path: PathBuf,
    opened: Option<FileId>,
    /// The largest size so far. A ledger never shrinks, because freed pages are used again.
    bytes: Cell<u64>,
    log: PathBuf,
    /// The write-ahead log, once it exists: while this process has it open, no other SQLite deletes it.
    log_opened: Cell<Option<FileId>>,
    free_bytes: FreeBytes,
}

/// The identity of a file on a machine: device and inode.
type FileId = (u64, u64);

impl Guard {
    /// Remembers the file that is at `path` now.
    pub(super) fn of(path: PathBuf, free_bytes: FreeBytes) -> Self {
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        Self {
            opened: id(&path),
            bytes: Cell::new(size(&path)),
            log: log.into(),
            log_opened: Cell::new(None),
            path,
            free_bytes,
        }
    }

    /// Fails when another file, or none, is at the path by now, or one that was written over and is smaller; and when that
    /// is so of its log. SQLite would go on with the old one, which nobody else sees and which is gone with the process.
    pub(super) fn check_same(&self) -> Result<(), FileError> {
        let bytes = size(&self.path);
        if id(&self.path) != self.opened || bytes < self.bytes.get() {
            return Err(FileError::Replaced);
        }
        self.bytes.set(bytes);
        let log = id(&self.log);
        match self.log_opened.get() {
            None => self.log_opened.set(log),
            opened if opened == log => {}
            _ => return Err(FileError::LogReplaced),
        }
        Ok(())
    }

    /// Fails if the disk may not have room for the outcome of a call. A disk without this information counts as having room.
    pub(super) fn check_room(&self) -> Result<(), FileError> {
        match (self.free_bytes)(&self.path) {
            Ok(free) if free < FREE_BYTES_MIN => Err(FileError::Full { free }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("path", &self.path)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

/// `None` where there is no file.
#[cfg(unix)]
fn id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Other systems do not let a file be deleted that is open.
#[cfg(not(unix))]
fn id(_: &Path) -> Option<FileId> {
    None
}

/// 0 where there is no file.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// What the system says of the disk.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
