//! Faults of a file.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use notifier::base::Clock;
use notifier::store::Use;
use notifier::store::sqlite::Sqlite;
use notifier::store::{Item, Store as _, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use crate::stores::{NOW, all, clock_at, find, item, numbered, range, sorts, sqlite};

/// The error of opening, and its cause.
async fn refused(path: &Path) -> String {
    let error = Sqlite::open(path, clock_at(NOW)).await.unwrap_err();
    assert!(error.is_final(), "{error:?}");
    assert_eq!(error.to_string(), format!("the ledger in sqlite:{} refused open", path.display()));
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn what_was_written_is_there_when_the_file_is_opened_again() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let items = numbered("p", 5);
    sqlite(&path).await.put(items.clone()).await.unwrap();
    assert_eq!(all(&sqlite(&path).await, range("p", "", false)).await, items);
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    let store = sqlite(&directory.path().join("ledger.db")).await;
    store.put(numbered("p", 1)).await.unwrap();
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() >= 2, "the file and its log");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_a_ledger_is_refused_and_stays_as_it_is() {
    let directory = TempDir::new().unwrap();
    assert_eq!(refused(directory.path()).await, "the file cannot be opened");
    assert_eq!(refused(&directory.path().join("missing/ledger.db")).await, "the file cannot be opened");
    assert_eq!(refused(Path::new("")).await, "the file cannot be opened");

    let text = directory.path().join("notes.txt");
    let notes = "to do: ".repeat(1_000);
    fs::write(&text, &notes).unwrap();
    let error = Sqlite::open(&text, clock_at(NOW)).await.unwrap_err();
    assert!(error.is_damage() && error.is_final(), "{error:?}");
    assert_eq!(fs::read_to_string(&text).unwrap(), notes);

    let other = directory.path().join("bookmarks.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE items (partition, sort)").unwrap();
    let before = fs::read(&other).unwrap();
    assert_eq!(refused(&other).await, "the file is a SQLite database of another program");
    assert_eq!(fs::read(&other).unwrap(), before);
}

#[tokio::test]
async fn whoever_only_looks_things_up_makes_no_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let error = Sqlite::open_for(Use::Read, &path, clock_at(NOW)).await.unwrap_err();
    assert!(error.is_final() && !error.is_damage(), "{error:?}");
    assert!(error.source().unwrap().to_string().starts_with("the file does not exist"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_is_deleted_or_replaced_under_a_running_process_is_not_used_any_more() {
    for replaced in [false, true] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("ledger.db");
        let store = sqlite(&path).await;
        store.put(numbered("p", 1)).await.unwrap();
        fs::rename(&path, directory.path().join("elsewhere.db")).unwrap();
        if replaced {
            drop(sqlite(&path).await);
        }
        for refused in [
            store.put(numbered("p", 2)).await.map(drop),
            store.put_new(item("p", "new", "{}")).await.map(drop),
            store.get(vec![item("p", "new", "{}").key]).await.map(drop),
            store.list(range("p", "", false), None).await.map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(error.is_damage(), "{error:?}");
            let cause = error.source().unwrap().to_string();
            assert!(
                cause.starts_with("the file was deleted or replaced while this process used it"),
                "{cause}"
            );
        }
    }
}

/// What every call answers by now.
async fn refusals(store: &Sqlite) -> Vec<StoreError> {
    let key = || item("p", "new", "{}").key;
    let calls = [
        store.put(numbered("p", 2)).await.map(drop),
        store.put_new(item("p", "new", "{}")).await.map(drop),
        store.get(vec![key()]).await.map(drop),
        store.list(range("p", "", false), None).await.map(drop),
    ];
    calls.into_iter().map(Result::unwrap_err).collect()
}

#[tokio::test]
async fn a_file_that_is_written_over_under_a_running_process_is_not_used_any_more() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let store = sqlite(&path).await;
    store.put(numbered("p", 1)).await.unwrap();
    // As `cp` does it: the same file with another content.
    fs::write(&path, "").unwrap();
    for error in refusals(&store).await {
        assert!(error.is_damage(), "{error:?}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.starts_with("the file was deleted or replaced"), "{cause}");
    }
}

#[tokio::test]
async fn a_log_that_is_deleted_under_a_running_process_is_missed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let store = sqlite(&path).await;
    store.put(numbered("p", 1)).await.unwrap();
    store.put(numbered("p", 2)).await.unwrap();
    drop(sqlite(&path).await);
    store.put(numbered("p", 3)).await.unwrap();
    fs::remove_file(directory.path().join("ledger.db-wal")).unwrap();
    for error in refusals(&store).await {
        assert!(error.is_damage(), "{error:?}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.starts_with("the file's log, which ends in `-wal`, was deleted"), "{cause}");
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_says_so() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    sqlite(&path).await.put(numbered("p", 1)).await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert_eq!(refused(&path).await, "the file is of version 2, and this program knows versions up to 1");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(all(&sqlite(&path).await, range("p", "", false)).await, numbered("p", 1));
}

#[tokio::test]
async fn an_empty_file_becomes_a_ledger_and_a_name_of_sqlites_own_is_a_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(":memory:");
    fs::write(&path, "").unwrap();
    sqlite(&path).await.put(numbered("p", 1)).await.unwrap();
    assert_eq!(sorts(&sqlite(&path).await, range("p", "", false)).await, ["n000000"]);
}

#[tokio::test]
async fn expired_items_are_forgotten_by_and_by_and_others_are_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let now = Arc::new(AtomicI64::new(NOW));
    let clock = {
        let now = Arc::clone(&now);
        Clock::from_fn(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::SeqCst).try_into().unwrap())
        })
    };
    let store = Sqlite::open(&path, clock).await.unwrap();
    let until = |seconds, items: Vec<Item>| {
        items.into_iter().map(|item| Item { expires: NOW + seconds, ..item }).collect::<Vec<_>>()
    };
    store.put(until(10, numbered("soon", 2_500))).await.unwrap();
    store.put(until(11, numbered("later", 3))).await.unwrap();
    now.store(NOW + 10, Ordering::SeqCst);
    let left = async || all(&store, range("soon", "", false)).await.len();
    assert_eq!(left().await, 2_500, "nothing has expired yet");
    // Each call makes room for a go; the list itself is three calls.
    now.store(NOW + 100, Ordering::SeqCst);
    for _ in 0..10 {
        left().await;
    }
    assert_eq!(left().await, 0);
    assert_eq!(all(&store, range("later", "", false)).await, []);

    store.put(until(0, numbered("past", 3))).await.unwrap();
    store.put(until(10_000, numbered("future", 3))).await.unwrap();
    let store = Sqlite::open(&path, clock_at(NOW + 100)).await.unwrap();
    assert_eq!(all(&store, range("past", "", false)).await, [], "forgotten when the file is opened");
    assert_eq!(all(&store, range("future", "", false)).await.len(), 3);
}

#[tokio::test]
async fn a_file_that_another_program_keeps_locked_is_unavailable_and_nothing_else_waits_for_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let store = sqlite(&path).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // This runtime has one thread: were it blocked, it would not tick.
    let ticking = tokio::spawn(async {
        let mut ticks = interval(Duration::from_millis(100));
        for _ in 0..20 {
            ticks.tick().await;
        }
        Instant::now()
    });
    let error = store.put(numbered("p", 1)).await.unwrap_err();
    let ended = Instant::now();
    assert!(!error.is_final(), "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), "database is locked");
    assert!(ticking.await.unwrap() < ended);
    other.execute_batch("ROLLBACK").unwrap();
    store.put(vec![item("p", "s", "free again")]).await.unwrap();
    assert_eq!(find(&store, "p", "s").await.unwrap().body, "free again");
}
