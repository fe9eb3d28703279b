//! The smallest client that can make the same calls: one thread, one epoll, and no library between it and the kernel.
//!
//! It writes and signs the body for each task, as `send` must, and records status and latency. It finds no tasks, has no
//! time limits, no retries and no address guard, and reads only the answer that the receivers of this benchmark give. So
//! it is not a product, but nothing can be cheaper.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use time::OffsetDateTime;
use wire::signature::SigningKeys;
use wire::{Broadcast, DeliveryId, Envelope};

use crate::load::{self, Load};

/// One of the calls under way.
struct Call {
    socket: OwnedFd,
    n: u32,
    started: Instant,
    sent: bool,
}

/// What makes requests: the body around what differs from task to task, and the key.
struct Template {
    broadcast: Broadcast,
    keys: SigningKeys,
    before_delivery: String,
    before_task: String,
    after_task: String,
    body: Vec<u8>,
}

/// Makes every call; the exit code is 1 when one was not answered with 2xx.
pub(crate) fn run(load: &Load) -> Result<ExitCode> {
    let mut template = Template::new()?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut results: Vec<(u16, Duration)> = Vec::with_capacity(load.count.try_into()?);
    let mut fresh = 0..load.count;
    let mut slots: Vec<Option<Call>> = Vec::new();
    for (slot, n) in fresh.by_ref().take(load.concurrency.into()).enumerate() {
        slots.push(Some(begin(&epoll, load, slot, n)?));
    }
    let mut events = Vec::with_capacity(load.concurrency.into());
    let mut request = Vec::new();
    while results.len() < load.count.try_into()? {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let slot = usize::try_from(event.data.u64())?;
            let place = slots.get_mut(slot).context("no such slot")?;
            let call = place.as_mut().context("an empty slot")?;
            if !call.sent {
                sockopt::socket_error(&call.socket)??;
                template.fill(&mut request, load, call.n)?;
                let written = write(&call.socket, &request)?;
                ensure!(written == request.len(), "the socket took only a part of the request");
                call.sent = true;
                epoll::modify(&epoll, &call.socket, event.data, EventFlags::IN)?;
                continue;
            }
            results.push((status(&call.socket)?, call.started.elapsed()));
            // Closes the socket, which takes it out of the epoll too.
            *place = None;
            if let Some(n) = fresh.next() {
                *place = Some(begin(&epoll, load, slot, n)?);
            }
        }
    }
    let is_ok = results.iter().all(|(status, _)| (200..300).contains(status));
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn begin(epoll: &OwnedFd, load: &Load, slot: usize, n: u32) -> Result<Call> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    match connect(&socket, &load.address(n)) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    epoll::add(epoll, &socket, EventData::new_u64(slot.try_into()?), EventFlags::OUT)?;
    Ok(Call { socket, n, started: Instant::now(), sent: false })
}

impl Template {
    /// What `send` sends, taken apart where the delivery and the task are named.
    fn new() -> Result<Self> {
        let broadcast = load::broadcast()?;
        let audience = load::audience(&broadcast, load::task(0));
        let (delivery, task) = (audience.delivery.clone(), audience.task.clone());
        let body = serde_json::to_string(&Envelope::new(broadcast.event.clone(), audience))?;
        let (before_delivery, rest) = body.split_once(&delivery).context("the body names no delivery")?;
        let (before_task, after_task) = rest.split_once(&task).context("the body names no task after it")?;
        let [before_delivery, before_task, after_task] =
            [before_delivery, before_task, after_task].map(str::to_owned);
        let keys = SigningKeys::parse(&load::signing_key())?;
        Ok(Self { broadcast, keys, before_delivery, before_task, after_task, body: Vec::new() })
    }

    /// Writes the whole request to task number `n`.
    fn fill(&mut self, request: &mut Vec<u8>, load: &Load, n: u32) -> Result<()> {
        let Self { broadcast, keys, before_delivery, before_task, after_task, body } = self;
        let task = load::task(n);
        let id = DeliveryId::derive(&broadcast.id, &task, load::CONTAINER);
        let trace = u64::from(n) + 1;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        body.clear();
        write!(body, "{before_delivery}{id}{before_task}{task}{after_task}")?;
        let signature = keys.sign(id.as_str(), now, body);
        request.clear();
        write!(
            request,
            "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: ecs-task-notifier/0.0.0\r\n\
             content-type: {}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {now}\r\n\
             webhook-signature: {signature}\r\ntraceparent: 00-{trace:032x}-{trace:016x}-01\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            load::PATH,
            load.address(n),
            wire::headers::CLOUDEVENTS_JSON,
            body.len(),
        )?;
        request.extend_from_slice(body);
        Ok(())
    }
}

/// The status of an answer that comes in one piece and has no body.
fn status(socket: &OwnedFd) -> Result<u16> {
    let mut answer = [0; 256];
    let length = read(socket, &mut answer)?;
    let answer = answer.get(..length).and_then(|answer| str::from_utf8(answer).ok()).context("no text")?;
    ensure!(answer.ends_with("\r\n\r\n"), "the answer came in pieces");
    Ok(answer.split(' ').nth(1).context("no status")?.parse()?)
}
