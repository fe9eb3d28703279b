//! Keeping simulators on one machine apart: each takes its own block of loopback addresses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The port whose listener marks a block as taken; on the block's last address, which no host or task gets.
const MARK_PORT: u16 = 29_999;

/// A block of loopback addresses, `127.NUMBER.0.0/16`, taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    number: u8,
    /// The mark; `None` where no addresses are needed.
    _mark: Option<TcpListener>,
}

impl Block {
    /// No block, for fleets that do not listen.
    pub(crate) fn none() -> Self {
        Self { number: 0, _mark: None }
    }

    /// The first block that no other simulator on this machine has, so that a lone one has the same addresses each
    /// time.
    pub(crate) fn take() -> Result<Self, (SocketAddr, io::Error)> {
        let mut last = None;
        for number in 1..=254 {
            let address = SocketAddr::from((Ipv4Addr::new(127, number, 255, 254), MARK_PORT));
            match TcpListener::bind(address) {
                Ok(mark) => return Ok(Self { number, _mark: Some(mark) }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some((address, error)),
                Err(error) => return Err((address, error)),
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
