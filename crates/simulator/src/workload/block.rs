//! Keeping simulators on one machine apart: each takes its own block of loopback addresses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The port whose listener marks a block as taken; on the block's last address, which no host or task gets.
const MARK_PORT: u16 = 29_999;

/// Blocks of loopback addresses in a row, the first of them `127.NUMBER.0.0/16`, taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    number: u8,
    /// The marks; none where no addresses are needed.
    _marks: Vec<TcpListener>,
}

impl Block {
    /// No block, for fleets that do not listen.
    pub(crate) fn none() -> Self {
        Self { number: 0, _marks: Vec::new() }
    }

    /// The first `width` blocks in a row that no other simulator on this machine has, so that a lone one has the same
    /// addresses each time.
    pub(crate) fn take(width: u8) -> Result<Self, (SocketAddr, io::Error)> {
        let mut last = None;
        for number in 1..=u8::MAX.saturating_sub(width) {
            match (number..number + width).map(mark).collect() {
                Ok(marks) => return Ok(Self { number, _marks: marks }),
                Err((address, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                    last = Some((address, error));
                }
                Err(other) => return Err(other),
            }
        }
        let nowhere =
            || (SocketAddr::from((Ipv4Addr::LOCALHOST, MARK_PORT)), io::ErrorKind::AddrInUse.into());
        Err(last.unwrap_or_else(nowhere))
    }

    pub(crate) fn number(&self) -> u8 {
        self.number
    }
}

fn mark(number: u8) -> Result<TcpListener, (SocketAddr, io::Error)> {
    let address = SocketAddr::from((Ipv4Addr::new(127, number, 255, 254), MARK_PORT));
    TcpListener::bind(address).map_err(|error| (address, error))
}
