//! What the page does with large broadcasts, many connections and slow readers.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use notifier::model::Outcome;

use super::rows;
use super::setup::{Filled, Page, delivery};
use crate::support::until;

const MANY: u32 = 100_000;
/// Memory for a report of so many containers, and all else, in a build without optimisation.
const MEMORY_KB_MAX: u64 = 400_000;

fn large() -> Filled {
    let filled = Filled::new();
    let outcome =
        |number: u32| if number.is_multiple_of(1_000) { Outcome::Failed } else { Outcome::Delivered };
    let services = ["checkout", "search", "web"];
    let all: Vec<_> = (0..MANY)
        .map(|number| delivery(services[number as usize % services.len()], number, Some(outcome(number))))
        .collect();
    filled.broadcast("b-1", &all);
    filled
}

/// The most memory that the process had, in KB.
fn memory_kb(page: &Page) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", page.process.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_thousand_containers_are_paged_and_filtered_from_one_read() {
    let filled = large();
    let page = filled.page("");
    let started = Instant::now();
    let first = page.body("/broadcast?id=b-1");
    let read = started.elapsed();
    assert!(
        first.contains("1 to 100 of 100,000 containers") && first.len() < 200_000,
        "{} bytes",
        first.len()
    );
    let timed = |path: &str| {
        let started = Instant::now();
        (page.body(path), started.elapsed())
    };
    let (last, turned) = timed("/broadcast?id=b-1&page=1000");
    assert!(last.contains("99,901 to 100,000 of 100,000 containers"));
    let (failed, filtered) = timed("/broadcast?id=b-1&outcome=failed&text=NO+ANSWER");
    assert_eq!(rows(&failed), 100);
    println!(
        "read and shown in {read:?}, the last page in {turned:?}, filtered in {filtered:?}, {} KB",
        memory_kb(&page)
    );
    assert!(
        turned < Duration::from_secs(10) && filtered < Duration::from_secs(10),
        "{turned:?} {filtered:?}"
    );
    let csv = page.body("/broadcast.csv?id=b-1");
    assert_eq!(csv.lines().count(), MANY as usize + 1);
    assert!(memory_kb(&page) < MEMORY_KB_MAX, "{} KB", memory_kb(&page));
}

#[test]
fn silent_connections_do_not_stop_the_page() {
    let filled = Filled::new();
    filled.broadcast("b-1", &[delivery("web", 1, Some(Outcome::Delivered))]);
    let page = filled.page("");
    let silent: Vec<_> = (0..1_000).filter_map(|_| TcpStream::connect(&page.address).ok()).collect();
    assert_eq!(silent.len(), 1_000);
    let started = Instant::now();
    for _ in 0..20 {
        page.body("/broadcast?id=b-1");
    }
    let took = started.elapsed();
    println!("20 pages in {took:?} beside 1,000 silent connections, {} KB", memory_kb(&page));
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn slow_readers_are_bounded_and_do_not_stop_the_page() {
    let filled = large();
    let page = filled.page("");
    page.body("/broadcast?id=b-1");
    let slow: Vec<_> = (0..4).map(|_| page.begin("/broadcast.csv?id=b-1")).collect();
    assert_eq!(page.get("/broadcast.json?id=b-1").status, 503, "the fifth download");
    // Pages that nobody reads.
    let unread: Vec<_> = (0..100).map(|_| page.open("/broadcast?id=b-1&page=7")).collect();
    assert!(page.body("/broadcast?id=b-1").contains("100,000 containers"));
    assert!(memory_kb(&page) < MEMORY_KB_MAX, "{} KB", memory_kb(&page));
    drop((slow, unread));
    until("downloads are free again", || page.get("/broadcast.json?id=b-1&outcome=failed").status == 200);
}

#[test]
fn sixteen_viewers_are_live_and_the_others_load_the_page_again() {
    let filled = Filled::new();
    filled.broadcast("b-1", &[delivery("web", 1, None)]);
    let page = filled.page("");
    let viewers: Vec<_> = (0..16).map(|_| page.begin("/stream?id=b-1")).collect();
    assert_eq!(page.get("/stream?id=b-1").status, 503, "the seventeenth");
    assert!(page.body("/broadcast?id=b-1").contains("Running"));
    drop(viewers);
    until("their places are free", || {
        page.raw("HEAD", "/stream?id=b-1", &[("authorization", &page.bearer())], "").status == 200
    });
}
