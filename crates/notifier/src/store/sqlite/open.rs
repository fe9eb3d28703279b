//! A file that is there, new or not, and a ledger's.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::FileError;
use crate::store::Use;

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

/// A connection to the ledger at `path`.
pub(super) fn open(path: &Path, purpose: Use) -> Result<Connection, FileError> {
    // SQLite gives names like `:memory:` a meaning of their own; an absolute path has none.
    let path = std::path::absolute(path)?;
    match purpose {
        Use::Call => create(&path)?,
        Use::CallAgain | Use::Read if path.exists() => {}
        Use::CallAgain | Use::Read => return Err(FileError::Absent),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(&path, flags)?;
    db.busy_timeout(BUSY_WAIT_MAX)?;
    claim(&mut db)?;
    let mode = keep_a_log(&db)?;
    if mode != "wal" {
        return Err(FileError::NoLog { mode });
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
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes sure that the file is a ledger that we know. Only an empty one becomes one; nothing is changed in another.
fn claim(db: &mut Connection) -> Result<(), FileError> {
    let claim = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name| claim.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION, VERSION) => return Ok(()),
        (APPLICATION, found) => return Err(FileError::Newer { found, known: VERSION }),
        _ => {}
    }
    let tables: i64 = claim.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 || number("application_id")? != 0 {
        return Err(FileError::Foreign);
    }
    claim.execute_batch(TABLES)?;
    claim.pragma_update(None, "application_id", APPLICATION)?;
    claim.pragma_update(None, "user_version", VERSION)?;
    claim.commit()?;
    Ok(())
}
