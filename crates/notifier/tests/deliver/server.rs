//! A scripted task: a raw TCP server that plays a script and records requests.
//!
//! Raw, because most of what is tested here no HTTP library would ever send.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One thing that the server does with a connection. After the last one it closes.
#[derive(Clone)]
pub(crate) enum Act {
    /// Reads the whole request.
    Read,
    Write(Vec<u8>),
    /// Writes the same again and again, for as long as the client reads.
    Flood(Vec<u8>),
    /// Writes the same again and again, with a pause after each.
    Trickle(Vec<u8>, Duration),
    Pause(Duration),
    /// Keeps the connection open and does nothing.
    Hang,
    /// Ends the connection with a reset.
    Reset,
}

/// What the server saw of one request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Seen {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header, which must stand there once at most.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// Ends with the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers every request with this status line and these header lines.
    pub(crate) async fn answering(head: &str) -> Self {
        Self::playing(vec![reply(head, "")]).await
    }

    /// Plays the first script on the first connection, and so on; the last one on all that follow.
    pub(crate) async fn playing(scripts: Vec<Vec<Act>>) -> Self {
        Self::on("127.0.0.1:0", scripts).await
    }

    pub(crate) async fn on(address: &str, scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state), scripts));
        Self { address, state, _tasks: tasks }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The most connections that waited for the end of their answer at the same time.
    pub(crate) fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::SeqCst)
    }
}

/// The script of a well-behaved answer.
pub(crate) fn reply(head: &str, body: &str) -> Vec<Act> {
    let text = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    vec![Act::Read, Act::Write(text.into_bytes())]
}

async fn serve(listener: TcpListener, state: Arc<State>, scripts: Vec<Vec<Act>>) {
    let mut connections = JoinSet::new();
    for n in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        state.connections.fetch_add(1, Ordering::SeqCst);
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_open.fetch_max(open, Ordering::SeqCst);
        let script = scripts.get(n).or(scripts.last()).cloned().unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            play(stream, &state, script).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn play(mut stream: TcpStream, state: &State, script: Vec<Act>) {
    let last = script.len() - 1;
    for (n, act) in script.into_iter().enumerate() {
        if n == last {
            // Before the client can see the end of the answer, and connect again.
            state.open.fetch_sub(1, Ordering::SeqCst);
        }
        let written = match act {
            Act::Read => {
                if let Some(seen) = read(&mut stream).await {
                    lock(&state.seen).push(seen);
                }
                Ok(())
            }
            Act::Write(bytes) => stream.write_all(&bytes).await,
            Act::Flood(bytes) => loop {
                if let Err(closed) = stream.write_all(&bytes).await {
                    break Err(closed);
                }
            },
            Act::Trickle(bytes, pause) => loop {
                if let Err(closed) = stream.write_all(&bytes).await {
                    break Err(closed);
                }
                tokio::time::sleep(pause).await;
            },
            Act::Pause(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Act::Hang => {
                // Until the client closes.
                while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
                Ok(())
            }
            Act::Reset => {
                stream.set_zero_linger().unwrap();
                Ok(())
            }
        };
        if written.is_err() {
            break;
        }
    }
}

/// One request, or `None` when the client closed first.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(head_end);
    let seen = Seen { head: String::from_utf8(bytes).unwrap(), body: Vec::new(), at: Instant::now() };
    let length = seen.header("content-length").map_or(0, |n| n.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { body, ..seen })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
