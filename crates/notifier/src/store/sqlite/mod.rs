//! A ledger's items in a file on this machine: SQLite, in this process, used by as many processes as like.
//!
//! | file | job |
//! | --- | --- |
//! | `mod` | the store: calls become jobs of one thread, and waiting writes one transaction |
//! | `file` | the file: its tables, and the statements on it |
//! | `open` | opens or creates the file, and checks that it is a ledger |
//! | `error` | why a file cannot be used (pure) |
//! | `guard` | whether it is still the same file, and the disk has room |
//!
//! An answered write survives the end of the process and of the machine (`synchronous = FULL`: the file is flushed before
//! each answer). The file must be on a disk of this machine, because SQLite's log (WAL) shares memory between processes.

mod error;
mod file;
mod guard;
mod open;

use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use super::Use;
use super::limits;
use super::{Item, Key, Page, Range, Store, StoreError, StoreProblem};
use crate::base::Clock;
use error::FileError;
use file::File;
use guard::{FreeBytes, Guard};

/// Calls that wait for the thread; more wait for room.
const JOBS_WAITING_MAX: usize = 1_024;
/// Calls that are taken together, their writes in one transaction.
const JOBS_TOGETHER_MAX: usize = 256;
/// Items of one job. More are split into several jobs, so that other callers and processes do not wait long.
const JOB_ITEMS_MAX: usize = 1_000;

/// A store in a file.
#[derive(Debug)]
pub struct Sqlite {
    /// As the setting says it: `sqlite:PATH`.
    name: String,
    /// The thread ends when this is dropped and all that was asked is done.
    jobs: mpsc::Sender<Job>,
}

/// What the thread is asked to do.
enum Job {
    Write(Write),
    Get { keys: Vec<Key>, done: Done<Vec<Option<Item>>> },
    List { range: Range, after: Option<String>, done: Done<Page> },
}

/// Items to write.
struct Write {
    items: Vec<Item>,
    condition: Condition,
    /// Whether all of them were written.
    done: Done<bool>,
}

/// When items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    /// If the key does not exist.
    New,
    /// If the key does not exist, or has a smaller body.
    Greater,
}

/// All that failed together have the same error.
type Done<T> = oneshot::Sender<Result<T, Arc<FileError>>>;

impl Sqlite {
    /// Opens the file, or creates it for this user alone (mode 0600); its directory must be there. Expired items are
    /// deleted by and by: a thousand now, and as many each minute in which something is written or read.
    ///
    /// Reads of single items and writes of new ones come before calls: they fail while the disk has less than 16 MiB left.
    ///
    /// # Errors
    ///
    /// A final [`StoreError`] when it cannot be a ledger: a directory, one of another program or of a newer version of
    /// this one, or not ours to write. Nothing in it is changed then. Damage when it is no SQLite file. An
    /// error that may pass when another process kept it to itself for too long, or the disk failed.
    pub async fn open(path: impl Into<PathBuf>, clock: Clock) -> Result<Self, StoreError> {
        Self::open_for(Use::Call, path, clock).await
    }

    /// The same for this use. Only [`Use::Call`] creates a missing file; for the others it is a final error.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) does.
    pub async fn open_for(purpose: Use, path: impl Into<PathBuf>, clock: Clock) -> Result<Self, StoreError> {
        let free_bytes: FreeBytes = match purpose {
            Use::Call | Use::CallAgain => Box::new(guard::free_bytes),
            // No call follows, so no room is needed.
            Use::Read => Box::new(|_| Ok(u64::MAX)),
        };
        Self::start(purpose, path.into(), free_bytes, clock).await
    }

    async fn start(
        purpose: Use,
        path: PathBuf,
        free_bytes: FreeBytes,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let name = format!("sqlite:{}", path.display());
        let (jobs, asked) = mpsc::channel(JOBS_WAITING_MAX);
        let (done, opened) = oneshot::channel();
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            match open::open(&path, purpose) {
                Ok(db) => {
                    let file = File::new(db, Guard::of(path, free_bytes), clock);
                    if done.send(Ok(())).is_ok() {
                        work(file, asked);
                    }
                }
                // The caller was dropped, or the answer was sent.
                Err(error) => drop(done.send(Err(Arc::new(error.on_disk(guard::free_bytes(&path)))))),
            }
        });
        thread.map_err(|error| StoreError::new(&name, "open", StoreProblem::Other, error))?;
        answered(&name, "open", opened.await)?;
        Ok(Self { name, jobs })
    }

    /// Has a job done, and waits for its answer.
    async fn ask<T>(
        &self,
        operation: &'static str,
        job: impl FnOnce(Done<T>) -> Job,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        // If the thread has ended, this drops the sender of the answer.
        let _ = self.jobs.send(job(done)).await;
        answered(&self.name, operation, answer.await)
    }

    async fn put_if(
        &self,
        operation: &'static str,
        item: Item,
        condition: Condition,
    ) -> Result<bool, StoreError> {
        limits::item(&item).map_err(|misfit| self.unfit(operation, misfit))?;
        self.ask(operation, |done| Job::Write(Write { items: vec![item], condition, done })).await
    }

    fn unfit(&self, operation: &'static str, misfit: String) -> StoreError {
        StoreError::new(&self.name, operation, StoreProblem::Unsupported, misfit)
    }
}

impl Store for Sqlite {
    fn put(&self, mut items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            items.iter().try_for_each(limits::item).map_err(|misfit| self.unfit("put", misfit))?;
            while !items.is_empty() {
                let rest = items.split_off(items.len().min(JOB_ITEMS_MAX));
                let items = std::mem::replace(&mut items, rest);
                self.ask("put", |done| Job::Write(Write { items, condition: Condition::Always, done }))
                    .await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn put_new(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put_if("put_new", item, Condition::New).boxed()
    }

    fn put_greater(&self, item: Item) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.put_if("put_greater", item, Condition::Greater).boxed()
    }

    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Item>>, StoreError>> {
        async move {
            keys.iter().try_for_each(limits::key).map_err(|misfit| self.unfit("get", misfit))?;
            let mut found = Vec::with_capacity(keys.len());
            for keys in keys.chunks(JOB_ITEMS_MAX) {
                let keys = keys.to_vec();
                found.append(&mut self.ask("get", |done| Job::Get { keys, done }).await?);
            }
            Ok(found)
        }
        .boxed()
    }

    fn list(&self, range: Range, after: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        async move {
            limits::range(&range).map_err(|misfit| self.unfit("list", misfit))?;
            self.ask("list", |done| Job::List { range, after, done }).await
        }
        .boxed()
    }

    fn put_items_max(&self) -> usize {
        JOB_ITEMS_MAX
    }
}

/// What the thread answered, if it has not ended.
fn answered<T>(
    store: &str,
    operation: &'static str,
    answer: Result<Result<T, Arc<FileError>>, RecvError>,
) -> Result<T, StoreError> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(StoreError::new(store, operation, error.problem(), error)),
        Err(_) => {
            let ended = "the thread of the file has ended";
            Err(StoreError::new(store, operation, StoreProblem::Other, ended))
        }
    }
}

/// The thread: runs jobs until all senders are dropped.
fn work(mut file: File, mut jobs: mpsc::Receiver<Job>) {
    file.forget_expired();
    while let Some(first) = jobs.blocking_recv() {
        let more = iter::from_fn(|| jobs.try_recv().ok()).take(JOBS_TOGETHER_MAX - 1);
        let mut writes = Vec::new();
        let mut reads = Vec::new();
        for job in iter::once(first).chain(more) {
            match job {
                Job::Write(write) if write.condition != Condition::Always => match file.guard.check_room() {
                    Ok(()) => writes.push(write),
                    Err(full) => drop(write.done.send(Err(Arc::new(full)))),
                },
                Job::Write(write) => writes.push(write),
                read => reads.push(read),
            }
        }
        // The answer is dropped if the caller was dropped, here and below.
        answer(file.write(&writes), writes);
        for read in reads {
            match read {
                Job::Get { keys, done } => drop(done.send(file.get(keys).map_err(Arc::new))),
                Job::List { range, after, done } => {
                    drop(done.send(file.list(&range, after.as_deref()).map_err(Arc::new)));
                }
                Job::Write(_) => {}
            }
        }
        file.forget_expired();
    }
}

fn answer(written: Result<Vec<bool>, FileError>, writes: Vec<Write>) {
    match written {
        Ok(written) => {
            for (written, write) in written.into_iter().zip(writes) {
                drop(write.done.send(Ok(written)));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for write in writes {
                drop(write.done.send(Err(Arc::clone(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::SystemTime;

    use super::*;

    fn item(sort: &str) -> Item {
        let key = Key { partition: "p".to_owned(), sort: sort.to_owned() };
        Item { key, body: "{}".to_owned(), expires: i64::MAX }
    }

    #[tokio::test]
    async fn with_a_disk_that_is_nearly_full_outcomes_are_still_written_and_nothing_else_begins() {
        let directory = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(error::FREE_BYTES_MIN));
        let disk = Arc::clone(&free);
        let free_bytes = Box::new(move |_: &_| Ok(disk.load(Ordering::Relaxed)));
        let clock = Clock::fixed(SystemTime::UNIX_EPOCH);
        let store = Sqlite::start(Use::Call, directory.path().join("ledger.db"), free_bytes, clock);
        let store = store.await.unwrap();
        assert!(store.put_new(item("part")).await.unwrap());

        free.store(error::FREE_BYTES_MIN - 1, Ordering::Relaxed);
        store.put(vec![item("outcome")]).await.unwrap();
        for refused in [
            store.put_new(item("another")).await.map(drop),
            store.get(vec![item("outcome").key]).await.map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(!error.is_final(), "{error:?}");
            let cause = error.source().unwrap().to_string();
            assert!(cause.starts_with("the disk has 16777215 bytes left"), "{cause}");
        }
        let all = Range { partition: "p".to_owned(), prefix: String::new(), backwards: false };
        assert_eq!(store.list(all, None).await.unwrap().items.len(), 2);

        free.store(error::FREE_BYTES_MIN, Ordering::Relaxed);
        assert!(store.put_new(item("another")).await.unwrap());
    }
}
