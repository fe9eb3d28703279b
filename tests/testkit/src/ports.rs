//! Free ports for processes that do not choose one themselves.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below the system's ephemeral ports: another test could get one of those before the new process listens on it.
const PORTS: Range<u16> = 10_000..32_000;
/// Number of ports reserved for each test process.
const EACH: usize = 8;

/// Returns a port of 127.0.0.1 on which nothing listens and which no other test gets at the same time.
pub fn free() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = std::process::id() as usize * EACH;
    let port =
        || PORTS.start + u16::try_from((first + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len()).unwrap();
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(port).take(PORTS.len()).find(is_free).unwrap()
}
