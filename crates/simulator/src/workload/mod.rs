//! The processes of the fleet: with loopback addresses, every mapped TCP port of a running container really listens.

mod block;
mod log;
mod script;
mod shared;

pub use log::Received;

pub(crate) use block::Block;
pub(crate) use log::Log;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lock;
use crate::world::{Cluster, Task, World};
use script::Script;
use shared::{Place, Shared};

/// A container that cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("container {container} of {task} cannot listen at {address}: {source}{}", hint(*address, source))]
pub struct ListenError {
    /// ARN of its task.
    pub task: String,
    /// Its name.
    pub container: String,
    /// Where it would listen.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// What to do about it.
pub(crate) fn hint(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => format!(
            "; this system's loopback interface lacks {0}: use `addresses = \"private\"` (nothing listens), or add it \
             (on macOS: `sudo ifconfig lo0 alias {0}`)",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need privileges: choose a higher port".to_owned()
        }
        io::ErrorKind::AddrInUse => {
            "; something else listens there: choose another port, or stop the other simulator".to_owned()
        }
        _ => "; each listening port takes a file descriptor: raise `ulimit -n`, or set `listeners = \"shared\"`"
            .to_owned(),
    }
}

/// The listeners of all tasks.
#[derive(Debug)]
pub(crate) struct Workload {
    tasks: Mutex<HashMap<String, Running>>,
    shared: Shared,
    log: Arc<Log>,
    /// The addresses. Every listener keeps them until it is closed, so that no other simulator takes them too early.
    block: Arc<Block>,
}

/// The listeners of one task.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    servers: TaskTracker,
    /// Where it answers on a shared listener.
    shared: Vec<SocketAddr>,
}

/// What a task's containers listen to and how they answer: a snapshot, so that no lock is held while sockets open.
pub(crate) struct Occupant {
    task: String,
    /// Whether its IPv4 sockets are shared ones.
    shares: bool,
    sockets: Vec<(SocketAddr, Arc<Script>)>,
}

impl Occupant {
    /// The listeners that a task ought to have now; none when it is not running.
    pub(crate) fn of(world: &World, cluster: &Cluster, task: &Task) -> Self {
        let containers = task.definitions().iter().enumerate();
        let listening = containers.map(|(place, container)| task.listens(container).then_some(place));
        let scripts: Vec<_> =
            listening.map(|place| Script::of(cluster, task, place?).map(Arc::new)).collect();
        let sockets = task.sockets().into_iter().filter_map(|socket| {
            let script = scripts.get(socket.container)?.as_ref()?;
            Some((socket.address, Arc::clone(script)))
        });
        Self { task: task.arn.clone(), shares: world.shares_listeners, sockets: sockets.collect() }
    }
}

impl Workload {
    pub(crate) fn new(log: Log, block: Block) -> Self {
        let (log, block) = (Arc::new(log), Arc::new(block));
        Self { tasks: Mutex::default(), shared: Shared::new(&log, &block), log, block }
    }

    /// Every request received, within the log's bounds, oldest first.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Opens a task's listeners, all or none.
    pub(crate) async fn open(&self, occupant: Occupant) -> Result<(), ListenError> {
        let Occupant { task, shares, sockets } = occupant;
        if sockets.is_empty() {
            return Ok(());
        }
        let (shared, own): (Vec<_>, Vec<_>) =
            sockets.into_iter().partition(|(address, _)| shares && address.is_ipv4());
        let error = |script: &Script, address, source| {
            let (task, container) = (task.clone(), script.name().to_owned());
            ListenError { task, container, address, source }
        };
        let mut listeners = Vec::with_capacity(own.len());
        for (address, script) in own {
            let bound = TcpListener::bind(address).await;
            listeners.push((bound.map_err(|source| error(&script, address, source))?, address, script));
        }
        let mut running =
            Running { stop: CancellationToken::new(), servers: TaskTracker::new(), shared: Vec::new() };
        for (address, script) in shared {
            let (stop, connections) = (running.stop.clone(), running.servers.clone());
            let place = Place { script: Arc::clone(&script), stop, connections };
            if let Err(source) = self.shared.open(address, place) {
                self.shared.close(&running.shared).await;
                return Err(error(&script, shared::everywhere(address.port()), source));
            }
            running.shared.push(address);
        }
        for (listener, address, script) in listeners {
            let (log, block) = (Arc::clone(&self.log), Arc::clone(&self.block));
            let answer = move |request| {
                let _kept = &block;
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                async move { script.answer(&log, address, request).await }
            };
            running.servers.spawn(crate::http::serve(running.stop.clone(), Duration::ZERO, answer, listener));
        }
        running.servers.close();
        lock(&self.tasks).insert(task, running);
        Ok(())
    }

    /// Closes a task's listeners and drops its connections, as when its processes are killed. Returns when they are
    /// closed, so that another task can have the address.
    pub(crate) async fn close(&self, task: &str) {
        let running = lock(&self.tasks).remove(task);
        if let Some(running) = running {
            running.stop.cancel();
            self.shared.close(&running.shared).await;
            running.servers.wait().await;
        }
    }

    /// Closes the listeners of all tasks.
    pub(crate) async fn close_all(&self) {
        let all: Vec<_> = lock(&self.tasks).drain().collect();
        for (_, running) in &all {
            running.stop.cancel();
        }
        for (_, running) in &all {
            self.shared.close(&running.shared).await;
            running.servers.wait().await;
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        for running in lock(&self.tasks).values() {
            running.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do() {
        let check = |kind: io::ErrorKind, advice: &str| {
            let error = ListenError {
                task: "task".to_owned(),
                container: "app".to_owned(),
                address: SocketAddr::from(([127, 1, 16, 1], 80)),
                source: kind.into(),
            };
            let message = error.to_string();
            assert!(
                message.starts_with("container app of task cannot listen at 127.1.16.1:80: "),
                "{message}"
            );
            assert!(message.contains(advice), "{message}");
        };
        check(io::ErrorKind::AddrNotAvailable, "sudo ifconfig lo0 alias 127.1.16.1");
        check(io::ErrorKind::PermissionDenied, "choose a higher port");
        check(io::ErrorKind::AddrInUse, "choose another port");
        check(io::ErrorKind::Other, "raise `ulimit -n`");
    }
}
