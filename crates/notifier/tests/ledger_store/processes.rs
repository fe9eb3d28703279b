//! One file, several users: handles in this process, and processes that are killed in the middle of a write.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use futures_util::future::join_all;
use notifier::store::Store as _;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::stores::{all, item, range, sqlite};

/// Where a child writes, in its working directory. Only if it is there: `writer` does nothing in an ordinary run.
const FILE: &str = "ledger.db";
/// Items that a child writes at most; it is killed long before.
const WRITES_MAX: usize = 100_000;
/// How the lines of a child begin that name what was written for sure.
const WRITTEN: &str = "written ";

/// Writes one item after the other, and says so of each that was answered.
#[tokio::test]
#[ignore = "a process that the tests below start and kill"]
async fn writer() {
    if !Path::new(FILE).exists() {
        return;
    }
    let store = sqlite(Path::new(FILE)).await;
    let id = std::process::id();
    for n in 0..WRITES_MAX {
        let sort = format!("{id}-{n:06}");
        store.put(vec![item("p", &sort, &"x".repeat(n % 3_000))]).await.unwrap();
        println!("{WRITTEN}{sort}");
    }
}

/// Starts `writer` in this directory.
fn start(directory: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["processes::writer", "--exact", "--ignored", "--nocapture"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Reads what a child says until it has named `count` items, then kills it, and takes what it still said.
async fn kill_after(
    count: usize,
    (mut child, mut lines): (Child, Lines<BufReader<ChildStdout>>),
) -> Vec<String> {
    let mut written = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, sort)) = line.split_once(WRITTEN) {
            written.push(sort.to_owned());
        }
        if written.len() == count {
            child.start_kill().unwrap();
        }
    }
    child.wait().await.unwrap();
    assert!((count..WRITES_MAX).contains(&written.len()), "{} writes", written.len());
    written
}

#[tokio::test]
async fn killed_in_the_middle_of_writing_a_process_loses_nothing_that_was_answered() {
    let directory = TempDir::new().unwrap();
    drop(sqlite(&directory.path().join(FILE)).await);
    let mut written = Vec::new();
    for count in [1, 40, 300] {
        // Two at once: each dies while the other writes or waits.
        let [one, two] = [start(directory.path()), start(directory.path())];
        let (one, two) = tokio::join!(kill_after(count, one), kill_after(count + 17, two));
        written.extend(one.into_iter().chain(two));
        let store = sqlite(&directory.path().join(FILE)).await;
        let there = all(&store, range("p", "", false)).await;
        let found = |sort: &String| there.iter().any(|item| item.key.sort == *sort);
        let lost: Vec<_> = written.iter().filter(|sort| !found(sort)).collect();
        assert!(lost.is_empty(), "{lost:?} of {}", written.len());
        // One more of each may have been written and not answered.
        assert!(there.len() <= written.len() + 6, "{} of {}", there.len(), written.len());
    }
}

#[tokio::test]
async fn a_new_file_can_be_opened_by_many_at_once() {
    // Each file gives a few openers one chance to be in each other's way.
    for _ in 0..100 {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join(FILE);
        let stores = join_all((0..8).map(|_| sqlite(&path))).await;
        stores[0].put(vec![item("p", "sort", "there")]).await.unwrap();
        for store in &stores {
            assert_eq!(all(store, range("p", "", false)).await.len(), 1);
        }
    }
}

#[tokio::test]
async fn handles_on_one_file_see_each_others_writes_and_wait_for_each_other() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(FILE);
    // All at once, so that they also create it at once.
    let stores: Vec<_> = join_all((0..8).map(|_| sqlite(&path))).await.into_iter().map(Arc::new).collect();
    let writes = stores.iter().enumerate().map(|(n, store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut first = 0;
            for turn in 0..40 {
                store.put(vec![item("p", &format!("{n}-{turn:02}"), "there")]).await.unwrap();
                first += usize::from(store.put_new(item("race", &turn.to_string(), "mine")).await.unwrap());
            }
            first
        })
    });
    let first: usize = join_all(writes).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(first, 40, "each race has one winner");
    for store in &stores {
        assert_eq!(all(&**store, range("p", "", false)).await.len(), 8 * 40);
    }
}
