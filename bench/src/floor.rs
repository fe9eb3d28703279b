//! The smallest client that can make the same calls: one thread, one epoll, and no library between it and the kernel.
//!
//! It writes the body for each task, as the notifier must, and records status and latency. It has no time limits, no
//! retries, no address guard, and reads only the answer that the server of this benchmark gives. So it is not a product,
//! but nothing can be cheaper.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use notifier::model::Member;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use wire::{Audience, DeliveryId, Envelope};

use crate::load::{self, Load};
use crate::process::Calls;

/// One of the calls under way.
struct Call {
    socket: OwnedFd,
    n: u32,
    started: Instant,
    sent: bool,
}

/// The bytes of a request around what differs from task to task.
struct Template {
    head: String,
    before_task: String,
    after_task: String,
}

/// Makes every call.
pub(crate) fn run(load: &Load) -> Result<Calls> {
    ensure!(load.hung_percent == 0, "the smallest client does not give up on anybody");
    let template = template()?;
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
                fill(&mut request, &template, load, call.n)?;
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
    let ok = results.iter().filter(|(status, _)| (200..300).contains(status)).count();
    let ok = u32::try_from(ok)?;
    Ok(Calls { ok, errors: load.count - ok })
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

/// What `notifier` sends, taken apart where the task's ARN stands.
fn template() -> Result<Template> {
    let task = load::task(0);
    let broadcast = load::broadcast()?;
    let Member { cluster, service, container, .. } =
        Load::endpoint(&Load { port: 0, count: 1, concurrency: 1, hung_percent: 0, timeout_ms: 0 }, 0).member;
    let id = DeliveryId::derive(&broadcast.id, &task, &container).as_str().to_owned();
    let mut audience = Audience::new(&task, container);
    (audience.service, audience.cluster, audience.delivery) = (service, cluster, id.clone());
    let body = serde_json::to_string(&Envelope::new(broadcast.event, audience))?;
    let (before_task, after_task) = body.split_once(&task).context("the body does not name its task")?;
    Ok(Template {
        head: format!(
            "user-agent: floor\r\ncontent-type: application/cloudevents+json; charset=utf-8\r\nwebhook-id: {id}\r\n\
             webhook-timestamp: 1795512600\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        ),
        before_task: before_task.to_owned(),
        after_task: after_task.to_owned(),
    })
}

fn fill(request: &mut Vec<u8>, template: &Template, load: &Load, n: u32) -> Result<()> {
    request.clear();
    let Template { head, before_task, after_task } = template;
    write!(request, "POST /v1.0/notify HTTP/1.1\r\nhost: {}\r\n{head}{before_task}", load.address(n))?;
    write!(request, "{}{after_task}", load::task(n))?;
    Ok(())
}

/// The status of an answer that comes in one piece and has no body.
fn status(socket: &OwnedFd) -> Result<u16> {
    let mut answer = [0; 256];
    let length = read(socket, &mut answer)?;
    let answer = answer.get(..length).and_then(|answer| str::from_utf8(answer).ok()).context("no text")?;
    ensure!(answer.ends_with("\r\n\r\n"), "the answer came in pieces");
    Ok(answer.split(' ').nth(1).context("no status")?.parse()?)
}
