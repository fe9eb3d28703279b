//! Why a ledger's file cannot be used. Pure.

use std::io;

use rusqlite::ErrorCode;

use crate::store::StoreProblem;

/// Free space below which no task is called any more: room for the outcomes of calls in flight.
///
/// A record changes up to three pages of 4 KiB, and 1,024 calls are under way at most.
pub(super) const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Why a ledger's file cannot be opened, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("the file cannot be opened")]
    Io(#[from] io::Error),
    #[error("the file does not exist; the process that notifies tasks creates it")]
    Absent,
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("SQLite cannot use the file")]
    NotOpened(#[source] rusqlite::Error),
    #[error(
        "the disk has {free} bytes left, and SQLite cannot open the file without room beside it; free some space"
    )]
    NoRoomToOpen { free: u64 },
    #[error("the disk has {free} bytes left, and recording outcomes needs {FREE_BYTES_MIN}; free some space")]
    Full { free: u64 },
    #[error("the file is a SQLite database of another program")]
    Foreign,
    #[error("the file is of version {found}, and this program knows versions up to {known}")]
    Newer { found: i32, known: i32 },
    #[error("the file cannot have a write-ahead log: its journal mode stays `{mode}`")]
    NoLog { mode: String },
    #[error(
        "the file was deleted or replaced while this process used it; stop the process, put the file back or start with a new one"
    )]
    Replaced,
    #[error(
        "the file's log, which ends in `-wal`, was deleted or replaced while this process used it; stop the process, and note that \
         outcomes may be missing"
    )]
    LogReplaced,
}

impl FileError {
    /// Source: SQLite, "Result and Error Codes".
    pub(super) fn problem(&self) -> StoreProblem {
        let error = match self {
            Self::Sqlite(error) | Self::NotOpened(error) => error,
            Self::Io(_) => return StoreProblem::FileNotOpened,
            Self::Absent => return StoreProblem::FileMissing,
            Self::NoRoomToOpen { .. } | Self::Full { .. } => return StoreProblem::DiskFull,
            Self::Foreign | Self::Newer { .. } | Self::NoLog { .. } => return StoreProblem::FileUnsuitable,
            Self::Replaced | Self::LogReplaced => return StoreProblem::FileDamaged,
        };
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => StoreProblem::FileLocked,
            Some(ErrorCode::DiskFull) => StoreProblem::DiskFull,
            Some(ErrorCode::SystemIoFailure) => StoreProblem::FileIo,
            Some(ErrorCode::OutOfMemory) => StoreProblem::Other,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreProblem::FileDamaged,
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                StoreProblem::FileNotOpened
            }
            _ => StoreProblem::FileUnsuitable,
        }
    }

    /// Why the file was not opened. On a full disk, SQLite reports only an input or output error, so this checks the free space.
    pub(super) fn on_disk(self, free: io::Result<u64>) -> Self {
        match (self, free) {
            (Self::Sqlite(error), Ok(free)) if free < FREE_BYTES_MIN && fails_without_room(&error) => {
                Self::NoRoomToOpen { free }
            }
            (Self::Sqlite(error), _) => Self::NotOpened(error),
            (error, _) => error,
        }
    }
}

fn fails_without_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// `SQLITE_IOERR_SHMSIZE`, what SQLite says when there is no room for the index of its log.
    const NO_ROOM_FOR_INDEX: i32 = ffi::SQLITE_IOERR | (19 << 8);

    fn error(code: i32) -> FileError {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_full_disk_is_called_one() {
        for code in [ffi::SQLITE_FULL, NO_ROOM_FOR_INDEX, ffi::SQLITE_CANTOPEN] {
            let full = error(code).on_disk(Ok(4_096));
            assert_eq!(full.problem(), StoreProblem::DiskFull);
            assert!(full.to_string().starts_with("the disk has 4096 bytes left"), "{full}");
            for free in [Ok(FREE_BYTES_MIN), Err(io::ErrorKind::Unsupported.into())] {
                assert_eq!(error(code).on_disk(free).to_string(), "SQLite cannot use the file");
            }
        }
        let locked = error(ffi::SQLITE_BUSY).on_disk(Ok(0));
        assert_eq!(locked.to_string(), "SQLite cannot use the file");
    }

    #[test]
    fn each_code_of_sqlite_is_one_problem() {
        for (code, expected) in [
            (ffi::SQLITE_BUSY, StoreProblem::FileLocked),
            (ffi::SQLITE_LOCKED, StoreProblem::FileLocked),
            (ffi::SQLITE_PROTOCOL, StoreProblem::FileLocked),
            (ffi::SQLITE_FULL, StoreProblem::DiskFull),
            (ffi::SQLITE_IOERR, StoreProblem::FileIo),
            (NO_ROOM_FOR_INDEX, StoreProblem::FileIo),
            (ffi::SQLITE_NOMEM, StoreProblem::Other),
            (ffi::SQLITE_CORRUPT, StoreProblem::FileDamaged),
            (ffi::SQLITE_NOTADB, StoreProblem::FileDamaged),
            (ffi::SQLITE_CANTOPEN, StoreProblem::FileNotOpened),
            (ffi::SQLITE_READONLY, StoreProblem::FileNotOpened),
            (ffi::SQLITE_PERM, StoreProblem::FileNotOpened),
            (ffi::SQLITE_CONSTRAINT, StoreProblem::FileUnsuitable),
        ] {
            assert_eq!(error(code).problem(), expected, "{code}");
        }
        assert_eq!(FileError::Absent.problem(), StoreProblem::FileMissing);
        assert_eq!(FileError::from(io::Error::other("x")).problem(), StoreProblem::FileNotOpened);
        assert_eq!(FileError::Foreign.problem(), StoreProblem::FileUnsuitable);
        assert_eq!(FileError::Replaced.problem(), StoreProblem::FileDamaged);
    }
}
