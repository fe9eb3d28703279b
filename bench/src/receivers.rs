//! The tasks' containers: one thread that accepts connections to every loopback address, reads each request whole, answers
//! 202 and closes. A container of its own for each task would cost the machine more than the broadcast.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::time::Timespec;

use crate::process;

/// The answers to a question, by address.
const VERSIONS: [&[u8]; 3] = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{\"version\":\"v40\"}",
    b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{\"version\":\"v41\"}",
    b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{\"version\":\"v42\"}",
];
const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// Connections that may wait to be accepted. The kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;
/// Of the containers, one in so many hangs, when some do: those whose address ends in a multiple of it.
pub(crate) const HUNG_ONE_IN: u8 = 20;
/// Numbers of what is waited for; connections are numbered after these.
const INPUT: u64 = 0;
const LISTENER: u64 = 1;

/// How the containers answer.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Receivers {
    /// How long a request waits for its answer
    #[arg(long, default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// One container in twenty accepts connections and never answers
    #[arg(long)]
    pub(crate) some_hang: bool,
    /// Answer with one of three versions instead of nothing
    #[arg(long)]
    pub(crate) versions: bool,
}

struct Connection {
    stream: TcpStream,
    /// The address that was called.
    to: IpAddr,
    request: Vec<u8>,
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// Those that hang never leave; the client does.
    connections: HashMap<u64, Connection>,
    /// The next connection's number. Numbers are not used again.
    next: u64,
    some_hang: bool,
    versions: bool,
    delay: Duration,
    waiting: VecDeque<(Instant, u64)>,
    seen: Seen,
}

/// What came since the last question.
#[derive(Default)]
struct Seen {
    /// Signed requests that were answered.
    answered: u64,
    bytes: usize,
    called: HashSet<IpAddr>,
}

/// Serves until the input ends. Prints the port at the start; then for each line of the input the answers given, the
/// addresses called and the bytes received since the line before, and the processor time so far.
pub(crate) fn run(receivers: &Receivers) -> Result<ExitCode> {
    process::pin(1);
    let mut server = Server::listen(receivers)?;
    println!("{}", server.listener.local_addr()?.port());
    let mut events = Vec::with_capacity(1024);
    loop {
        let pause = server.waiting.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        let pause = pause.map(Timespec::try_from).transpose()?;
        epoll::wait(&server.epoll, spare_capacity(&mut events), pause.as_ref())?;
        for event in events.drain(..) {
            match event.data.u64() {
                INPUT => {
                    if std::io::stdin().read(&mut [0; 64])? == 0 {
                        return Ok(ExitCode::SUCCESS);
                    }
                    let Seen { answered, bytes, called } = std::mem::take(&mut server.seen);
                    let cpu = process::cpu_time().as_nanos();
                    println!("{answered} {} {bytes} {cpu}", called.len());
                }
                LISTENER => server.accept()?,
                id => server.read(id)?,
            }
        }
        server.answer_due()?;
    }
}

impl Server {
    /// Listens on every address, because the system has no way to listen on a network alone.
    fn listen(receivers: &Receivers) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, std::io::stdin(), EventData::new_u64(INPUT), EventFlags::IN)?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
        listen(&socket, BACKLOG)?;
        epoll::add(&epoll, &socket, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener: socket.into(),
            connections: HashMap::new(),
            next: LISTENER + 1,
            some_hang: receivers.some_hang,
            versions: receivers.versions,
            delay: Duration::from_millis(receivers.delay_ms),
            waiting: VecDeque::new(),
            seen: Seen::default(),
        })
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let to = stream.local_addr()?.ip();
            if !to.is_loopback() {
                // Somebody of another machine.
                continue;
            }
            stream.set_nonblocking(true)?;
            let id = self.next;
            self.next += 1;
            epoll::add(&self.epoll, &stream, EventData::new_u64(id), EventFlags::IN)?;
            self.connections.insert(id, Connection { stream, to, request: Vec::new() });
        }
    }

    fn read(&mut self, id: u64) -> Result<()> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
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
        if (self.some_hang && hangs(connection.to)) || !is_whole(&connection.request) {
            return Ok(());
        }
        if self.delay.is_zero() {
            return self.answer(id);
        }
        self.waiting.push_back((Instant::now() + self.delay, id));
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
        let Some(mut connection) = self.connections.remove(&id) else { return Ok(()) };
        let version = match connection.to {
            IpAddr::V4(ip) if self.versions => VERSIONS.get(usize::from(ip.octets()[3]) % VERSIONS.len()),
            _ => None,
        };
        connection.stream.write_all(version.copied().unwrap_or(ANSWER))?;
        let is_signed = connection.request.windows(SIGNATURE.len()).any(|bytes| bytes == SIGNATURE);
        self.seen.answered += u64::from(is_signed);
        self.seen.bytes += connection.request.len();
        self.seen.called.insert(connection.to);
        Ok(())
    }
}

const SIGNATURE: &[u8] = b"\r\nwebhook-signature: v1,";

fn hangs(to: IpAddr) -> bool {
    matches!(to, IpAddr::V4(ip) if ip.octets()[3] % HUNG_ONE_IN == 0)
}

fn is_whole(request: &[u8]) -> bool {
    const LENGTH: &str = "content-length: ";
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = request.get(..end).and_then(|head| str::from_utf8(head).ok()).unwrap_or_default();
    let length = head.lines().find_map(|line| line.strip_prefix(LENGTH)).and_then(|n| n.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}
