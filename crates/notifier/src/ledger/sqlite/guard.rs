//! Whether the file on the disk is still the one that was opened, and whether the disk has room for what follows a call.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Free space below which nobody is called any more: what calls under way may still have to record.
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
    #[error("the disk has {free} bytes left, and recording outcomes needs {FREE_BYTES_MIN}; free some space")]
    Full { free: u64 },
}

/// Knows the file that was opened.
pub(super) struct Guard {
    path: PathBuf,
    opened: Option<FileId>,
    free_bytes: FreeBytes,
}

/// What tells a file from all others of a machine: its device and its number there.
type FileId = (u64, u64);

impl Guard {
    /// Remembers the file that is at `path` now.
    pub(super) fn of(path: PathBuf, free_bytes: FreeBytes) -> Self {
        Self { opened: id(&path), path, free_bytes }
    }

    /// Fails when another file, or none, is at the path by now. SQLite would go on with the old one, which nobody else
    /// sees and which is gone with the process.
    pub(super) fn check_same(&self) -> Result<(), FileError> {
        if id(&self.path) == self.opened { Ok(()) } else { Err(FileError::Replaced) }
    }

    /// Fails when the disk may not take what a call leads to. A disk that does not tell is believed to have room.
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

/// What the system says of the disk.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
