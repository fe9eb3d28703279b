//! A file that is there, new or not, and a ledger's.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::guard::{FREE_BYTES_MIN, FileError};
use crate::ledger::store::StoreProblem;

/// How long to wait for another process that writes. Each of its transactions is over in well under a second.
pub(super) const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Pause between two tries of what SQLite itself does not wait for.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Tries that together take [`BUSY_WAIT_MAX`].
const BUSY_TRIES_MAX: u128 = BUSY_WAIT_MAX.as_millis() / BUSY_PAUSE.as_millis();

/// Marks a SQLite file as a ledger: "ECSN", in ASCII.
///
/// Source: SQLite, "PRAGMA Statements", `application_id`.
const APPLICATION: i32 = 0x4543_534e;
/// The version of the tables below, in the file's `user_version`.
const VERSION: i32 = 1;

/// Pages of the log, 32 MiB, after which it goes into the file. Keys are hashes, so each item has a page of its own to change:
/// with SQLite's thousand, hardly two changes of a page meet in the log, and most of the work is copying.
const LOG_PAGES: i64 = 8_000;
/// What SQLite keeps of the file in memory, in KiB.
const CACHE_KB: i64 = 16 * 1024;

/// Keys are compared byte by byte, as DynamoDB does.
///
/// With row ids, because keys come in random order: the rows of one transaction are neighbours on few pages, and only the
/// small index of the keys is written all over. Files without row ids, of earlier versions, work as well.
const TABLES: &str = "
    CREATE TABLE items (
        partition TEXT NOT NULL,
        sort TEXT NOT NULL,
        body TEXT NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (partition, sort)
    ) STRICT;
    CREATE INDEX items_by_expiry ON items (expires);
";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the file cannot be opened")]
    Io(#[from] io::Error),
    #[error("the file does not exist; the process that notifies tasks creates it")]
    Absent,
    #[error("SQLite cannot use the file")]
    Sqlite(#[from] rusqlite::Error),
    #[error(
        "the disk has {free} bytes left, and SQLite cannot open the file without room beside it; free some space"
    )]
    Full { free: u64 },
    #[error("the file is a SQLite database of another program")]
    Foreign,
    #[error("the file is of version {found}, and this program knows versions up to {VERSION}")]
    Newer { found: i32 },
    #[error("the file cannot have a write-ahead log: its journal mode stays `{mode}`")]
    NoLog { mode: String },
}

/// What to do where there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Make one.
    Create,
    /// Say so.
    Refuse,
}

impl OpenError {
    pub(super) fn problem(&self) -> StoreProblem {
        match self {
            Self::Io(_) => StoreProblem::FileNotOpened,
            Self::Absent => StoreProblem::FileMissing,
            Self::Sqlite(error) => problem(error),
            Self::Full { .. } => StoreProblem::DiskFull,
            Self::Foreign | Self::Newer { .. } | Self::NoLog { .. } => StoreProblem::FileUnsuitable,
        }
    }

    /// The same error, or its real cause: on a full disk, SQLite only reports an input or output error.
    pub(super) fn on_disk(self, free: io::Result<u64>) -> Self {
        match (&self, free) {
            (Self::Sqlite(error), Ok(free)) if free < FREE_BYTES_MIN && fails_without_room(error) => {
                Self::Full { free }
            }
            _ => self,
        }
    }
}

fn fails_without_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    )
}

impl FileError {
    pub(super) fn problem(&self) -> StoreProblem {
        match self {
            Self::Sqlite(error) => problem(error),
            Self::Full { .. } => StoreProblem::DiskFull,
            Self::Replaced | Self::LogReplaced => StoreProblem::FileDamaged,
        }
    }
}

/// Source: SQLite, "Result and Error Codes".
fn problem(error: &rusqlite::Error) -> StoreProblem {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            StoreProblem::FileLocked
        }
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

/// A connection to the ledger at `path`.
pub(super) fn open(path: &Path, absent: Absent) -> Result<Connection, OpenError> {
    // SQLite gives names like `:memory:` a meaning of their own; an absolute path has none.
    let path = std::path::absolute(path)?;
    match absent {
        Absent::Create => create(&path)?,
        Absent::Refuse if path.exists() => {}
        Absent::Refuse => return Err(OpenError::Absent),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&path, flags)?;
    db.busy_timeout(BUSY_WAIT_MAX)?;
    claim(&mut db)?;
    let mode = keep_a_log(&db)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { mode });
    }
    // `FULL` flushes the log before each answer. Waiting writes share it, so it is a matter of one caller's latency.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    db.pragma_update(None, "cache_size", -CACHE_KB)?;
    Ok(db)
}

/// Gives the file its write-ahead log. Returns the mode that it has then.
///
/// The change needs the file for itself, and SQLite asks no busy handler on the way there, because two that wait for each
/// other's read lock would never end. With several that open a new file, only trying again helps.
fn keep_a_log(db: &Connection) -> rusqlite::Result<String> {
    // Where it would ask the handler, a try must not wait as long as all of them may.
    db.busy_timeout(Duration::ZERO)?;
    let mut tries = 0;
    let mode = loop {
        tries += 1;
        match db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)) {
            Err(error) if is_busy(&error) && tries < BUSY_TRIES_MAX => std::thread::sleep(BUSY_PAUSE),
            mode => break mode,
        }
    };
    db.busy_timeout(BUSY_WAIT_MAX)?;
    mode
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// SQLite itself would create it readable by everyone; its log gets the permissions of the file.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes sure that the file is a ledger that we know. Only an empty one becomes one; nothing is changed in another.
fn claim(db: &mut Connection) -> Result<(), OpenError> {
    let claim = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name| claim.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION, VERSION) => return Ok(()),
        (APPLICATION, found) => return Err(OpenError::Newer { found }),
        _ => {}
    }
    let tables: i64 = claim.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 || number("application_id")? != 0 {
        return Err(OpenError::Foreign);
    }
    claim.execute_batch(TABLES)?;
    claim.pragma_update(None, "application_id", APPLICATION)?;
    claim.pragma_update(None, "user_version", VERSION)?;
    claim.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// `SQLITE_IOERR_SHMSIZE`, what SQLite says when there is no room for the index of its log.
    const NO_ROOM_FOR_INDEX: i32 = ffi::SQLITE_IOERR | (19 << 8);

    fn error(code: i32) -> OpenError {
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
        assert_eq!(OpenError::Absent.problem(), StoreProblem::FileMissing);
        assert_eq!(OpenError::from(io::Error::other("x")).problem(), StoreProblem::FileNotOpened);
        assert_eq!(OpenError::Foreign.problem(), StoreProblem::FileUnsuitable);
        assert_eq!(FileError::Replaced.problem(), StoreProblem::FileDamaged);
    }
}
