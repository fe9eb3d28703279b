//! The tasks: one thread that accepts connections on many loopback hosts, reads each request whole, answers 202 and closes.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;

use crate::load::{HOSTS, HUNG_HOST, host};
use crate::process;

const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// The end of the input says that the sample is over.
const INPUT: u64 = u64::MAX;

/// How the server answers.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Serve {
    /// How long a request waits for its answer
    #[arg(long, default_value_t = 0)]
    pub(crate) delay_ms: u64,
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    /// Never answered: the only thing that happens to it is that the client closes.
    hung: bool,
}

struct Server {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    connections: HashMap<u64, Connection>,
    /// Connections are numbered after the listeners, and numbers are not used again.
    next: u64,
    delay: Duration,
    waiting: VecDeque<(Instant, u64)>,
    answered: u64,
}

/// Serves until the input ends; prints the port at the start, and at the end the answers given and the processor time.
pub(crate) fn run(serve: &Serve) -> Result<ExitCode> {
    process::pin(1);
    let mut server = Server::listen(Duration::from_millis(serve.delay_ms))?;
    epoll::add(&server.epoll, std::io::stdin(), EventData::new_u64(INPUT), EventFlags::IN)?;
    let mut events = Vec::with_capacity(1024);
    loop {
        let pause = server.waiting.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        let pause = pause.map(Timespec::try_from).transpose()?;
        epoll::wait(&server.epoll, spare_capacity(&mut events), pause.as_ref())?;
        for event in events.drain(..) {
            match event.data.u64() {
                INPUT => {
                    println!("{} {}", server.answered, process::cpu_time().as_nanos());
                    return Ok(ExitCode::SUCCESS);
                }
                id if id < server.listeners.len().try_into()? => server.accept(id)?,
                id => server.read(id)?,
            }
        }
        server.answer_due()?;
    }
}

impl Server {
    /// Listens on the same port of every host. The last listener is that of the host that never answers.
    fn listen(delay: Duration) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let first = TcpListener::bind(SocketAddrV4::new(host(0), 0))?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        for address in (1..=HOSTS).map(host).chain([HUNG_HOST]) {
            listeners.push(bind(address, port)?);
        }
        for (id, listener) in listeners.iter().enumerate() {
            listener.set_nonblocking(true)?;
            epoll::add(&epoll, listener, EventData::new_u64(id.try_into()?), EventFlags::IN)?;
        }
        println!("{port}");
        let next = listeners.len().try_into()?;
        let (connections, waiting) = (HashMap::new(), VecDeque::new());
        Ok(Self { epoll, listeners, connections, next, delay, waiting, answered: 0 })
    }

    fn accept(&mut self, id: u64) -> Result<()> {
        let listener = self.listeners.get(usize::try_from(id)?).context("no such listener")?;
        let hung = listener.local_addr()?.ip() == HUNG_HOST;
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nonblocking(true)?;
            let id = self.next;
            self.next += 1;
            let interest = if hung { EventFlags::RDHUP } else { EventFlags::IN };
            epoll::add(&self.epoll, &stream, EventData::new_u64(id), interest)?;
            self.connections.insert(id, Connection { stream, request: Vec::new(), hung });
        }
    }

    fn read(&mut self, id: u64) -> Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        if connection.hung {
            self.connections.remove(&id);
            return Ok(());
        }
        let mut buffer = [0; 8192];
        let length = match connection.stream.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => 0,
        };
        if length == 0 {
            self.connections.remove(&id);
            return Ok(());
        }
        connection.request.extend(buffer.iter().take(length));
        if is_whole(&connection.request) {
            if self.delay.is_zero() {
                return self.answer(id);
            }
            self.waiting.push_back((Instant::now() + self.delay, id));
        }
        Ok(())
    }

    fn answer_due(&mut self) -> Result<()> {
        while let Some((due, id)) = self.waiting.front().copied()
            && due <= Instant::now()
        {
            self.waiting.pop_front();
            self.answer(id)?;
        }
        Ok(())
    }

    fn answer(&mut self, id: u64) -> Result<()> {
        if let Some(mut connection) = self.connections.remove(&id) {
            connection.stream.write_all(ANSWER)?;
            self.answered += 1;
        }
        Ok(())
    }
}

fn bind(address: Ipv4Addr, port: u16) -> Result<TcpListener> {
    TcpListener::bind(SocketAddrV4::new(address, port))
        .with_context(|| format!("cannot listen on {address}:{port}"))
}

fn is_whole(request: &[u8]) -> bool {
    const LENGTH: &str = "content-length: ";
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = request.get(..end).and_then(|head| str::from_utf8(head).ok()).unwrap_or_default();
    let length = head.lines().find_map(|line| line.strip_prefix(LENGTH)).and_then(|n| n.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}
