//! Whether the file on the disk is still the one that was opened, and whether the disk has room for what follows a call.

use std::cell::Cell;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{FREE_BYTES_MIN, FileError};

/// Reads how many bytes this user may still write to the disk that holds a path.
pub(super) type FreeBytes = Box<dyn Fn(&Path) -> io::Result<u64> + Send>;

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
        let (opened, bytes) = found(&path);
        let (bytes, log_opened) = (Cell::new(bytes), Cell::new(None));
        Self { path, opened, bytes, log: log.into(), log_opened, free_bytes }
    }

    /// Fails when another file, or none, is at the path by now, or one that was written over and is smaller; and when that
    /// is so of its log. SQLite would go on with the old one, which nobody else sees and which is gone with the process.
    pub(super) fn check_same(&self) -> Result<(), FileError> {
        let (id, bytes) = found(&self.path);
        if id != self.opened || bytes < self.bytes.get() {
            return Err(FileError::Replaced);
        }
        self.bytes.set(bytes);
        let (log, _) = found(&self.log);
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

/// Identity and size of the file; `None` where there is no file.
fn found(path: &Path) -> (Option<FileId>, u64) {
    match std::fs::metadata(path) {
        Ok(file) => (Some((file.dev(), file.ino())), file.len()),
        Err(_) => (None, 0),
    }
}

/// What the system says of the disk.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
