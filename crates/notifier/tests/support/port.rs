//! A port for a process that is told where to listen.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below those that the system hands out: there, a test that runs meanwhile would be given the port before the process,
/// which takes a moment to start, listens at it.
const PORTS: Range<u16> = 10_000..32_000;
/// Ports that one test has to itself.
const EACH: usize = 8;

/// A port of 127.0.0.1 at which nobody listens, and which no other test asks for at the same time.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = std::process::id() as usize * EACH;
    let port =
        || PORTS.start + u16::try_from((first + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len()).unwrap();
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(port).take(PORTS.len()).find(is_free).unwrap()
}
