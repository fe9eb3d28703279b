//! Listeners that many tasks share: one for each port, on all IPv4 addresses.
//!
//! A fleet of 100,000 tasks cannot have a socket for each. The address that a client connected to says which task is
//! meant.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Block;
use super::log::Log;
use super::script::Script;
use crate::http::Route;
use crate::lock;

/// Connections that may wait to be accepted. The kernel lowers it to `net.core.somaxconn`.
const BACKLOG: u32 = 4_096;

/// The shared listeners.
#[derive(Debug)]
pub(super) struct Shared {
    ports: Mutex<HashMap<u16, Port>>,
    log: Arc<Log>,
    block: Arc<Block>,
}

/// One listener.
#[derive(Debug)]
struct Port {
    places: Arc<Places>,
    stop: CancellationToken,
    server: TaskTracker,
}

type Places = Mutex<HashMap<IpAddr, Place>>;

/// What answers at one address of a port.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) script: Arc<Script>,
    pub(super) stop: CancellationToken,
    pub(super) connections: TaskTracker,
}

impl Shared {
    pub(super) fn new(log: &Arc<Log>, block: &Arc<Block>) -> Self {
        Self { ports: Mutex::default(), log: Arc::clone(log), block: Arc::clone(block) }
    }

    /// From now on, connections to this address reach `place`. The port's listener opens if it is the first.
    pub(super) fn open(&self, address: SocketAddr, place: Place) -> io::Result<()> {
        let mut ports = lock(&self.ports);
        if let Some(port) = ports.get(&address.port()) {
            lock(&port.places).insert(address.ip(), place);
            return Ok(());
        }
        let listener = listen(address.port())?;
        let places = Arc::new(Mutex::new(HashMap::from([(address.ip(), place)])));
        let port = Port { places, stop: CancellationToken::new(), server: TaskTracker::new() };
        let (places, log) = (Arc::clone(&port.places), Arc::clone(&self.log));
        let block = Arc::clone(&self.block);
        let route = move |address: SocketAddr| {
            let _kept = &block;
            let places = lock(&places);
            let Place { script, stop, connections } = places.get(&address.ip())?.clone();
            let (arrival, log) = (connections.token(), Arc::clone(&log));
            let answer = move |request| {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                async move { script.answer(&log, address, request).await }
            };
            Some(Route { arrival, connections, stop, answer })
        };
        port.server.spawn(crate::http::serve_routes(port.stop.clone(), route, listener));
        port.server.close();
        ports.insert(address.port(), port);
        Ok(())
    }

    /// Nobody answers at these addresses any more. Listeners that nobody needs close; when this returns, they have.
    pub(super) async fn close(&self, addresses: &[SocketAddr]) {
        let closed = self.forget(addresses);
        for server in closed {
            server.wait().await;
        }
    }

    fn forget(&self, addresses: &[SocketAddr]) -> Vec<TaskTracker> {
        let mut ports = lock(&self.ports);
        let mut closed = Vec::new();
        for address in addresses {
            let Some(port) = ports.get(&address.port()) else { continue };
            let is_empty = {
                let mut places = lock(&port.places);
                places.remove(&address.ip());
                places.is_empty()
            };
            if is_empty && let Some(port) = ports.remove(&address.port()) {
                port.stop.cancel();
                closed.push(port.server);
            }
        }
        closed
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for port in lock(&self.ports).values() {
            port.stop.cancel();
        }
    }
}

/// Listens on every address, because the system has no way to listen on a network alone.
fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(everywhere(port))?;
    socket.listen(BACKLOG)
}

/// Where the listener of a port listens.
pub(super) fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}
