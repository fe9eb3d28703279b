//! A service on loopback while strangers do their worst: everything of theirs is refused, everything of ours is accepted,
//! and memory stays within its limit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use ecs_task_notifier_receiver::{Notification, Receiver};
use support::{EventRequest, Notes, OTHER_SECRET, Sent, builder, sign, system_clock, unix_now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bodies of strangers together: smaller than what they send, so that the limit is felt.
const MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

struct Target {
    address: SocketAddr,
    notes: Notes,
    receiver: Receiver,
}

async fn serve() -> Target {
    let receiver = builder()
        .clock(system_clock)
        .memory_bytes_max(MEMORY_BYTES_MAX)
        .body_timeout(BODY_TIMEOUT)
        .waiting_max(4096)
        .build();
    let notes = Notes::default();
    let handler = {
        let notes = notes.clone();
        move |notification: Notification| async move { notes.handle(notification).await }
    };
    let app = Router::new().route("/notify", post(handler).layer(receiver.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Target { address, notes, receiver }
}

fn head(sent: &Sent, content_length: usize) -> String {
    let mut head = format!("{} /notify HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", sent.method);
    for (name, value) in &sent.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "content-length: {content_length}\r\n\r\n").unwrap();
    head
}

/// The status of the answer; 0 when the server hung up without one.
async fn status(mut stream: TcpStream) -> u16 {
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap_or(0);
    String::from_utf8_lossy(answer.get(..read).unwrap())
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

async fn send(address: SocketAddr, sent: &Sent) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(head(sent, sent.body.len()).as_bytes()).await;
    let _ = stream.write_all(&sent.body).await;
    status(stream).await
}

/// Sends requests `n` by `make`, 16 at a time, and counts the answers by status.
async fn storm(address: SocketAddr, count: usize, make: impl Fn(usize) -> Sent) -> Vec<(u16, usize)> {
    let mut answers = std::collections::BTreeMap::new();
    let mut running = JoinSet::new();
    for n in 0..count {
        if running.len() >= 16 {
            let status: u16 = running.join_next().await.unwrap().unwrap();
            *answers.entry(status).or_default() += 1;
        }
        let sent = make(n);
        running.spawn(async move { send(address, &sent).await });
    }
    while let Some(status) = running.join_next().await {
        *answers.entry(status.unwrap()).or_default() += 1;
    }
    answers.into_iter().collect()
}

/// The most memory that this process ever had resident, in MiB; `None` where the system does not say.
fn resident_mib_most() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_stranger_gets_through_and_memory_is_bounded() {
    let target = Arc::new(serve().await);
    let address = target.address;
    let before = resident_mib_most();
    let started = Instant::now();

    let forged =
        EventRequest { at: unix_now(), secret: OTHER_SECRET.to_owned(), ..EventRequest::default() }.sign();
    assert_eq!(storm(address, 5_000, |_| forged.clone()).await, [(401, 5_000)]);

    let ours = EventRequest { at: unix_now(), ..EventRequest::of("once") }.sign();
    assert_eq!(send(address, &ours).await, 202);
    assert_eq!(storm(address, 2_000, |_| ours.clone()).await, [(200, 2_000)]);

    let misdirected =
        EventRequest { at: unix_now(), task: "arn:other".to_owned(), ..EventRequest::default() }.sign();
    assert_eq!(storm(address, 1_000, |_| misdirected.clone()).await, [(421, 1_000)]);

    let huge = sign(OTHER_SECRET, "dlv_huge", unix_now(), http::Method::POST, vec![b'x'; 2 * 1024 * 1024]);
    for (status, _) in storm(address, 100, |_| huge.clone()).await {
        // The server may hang up before the answer is read: it does not wait for the rest of what it refuses.
        assert!(matches!(status, 413 | 0), "{status}");
    }

    // Each holds as much as it can and then goes silent: 128 times 1 MiB, eight times what there is room for.
    let full = vec![b'x'; 1024 * 1024];
    let slow = sign(OTHER_SECRET, "dlv_slow", unix_now(), http::Method::POST, "");
    let mut hanging = JoinSet::new();
    for _ in 0..128 {
        let (head, part) = (head(&slow, full.len()), full.get(1..).unwrap().to_owned());
        hanging.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&part).await;
            status(stream).await
        });
    }
    while let Some(status) = hanging.join_next().await {
        assert!(matches!(status.unwrap(), 408 | 503 | 0));
    }

    // And now ours again, each of them.
    let at = unix_now();
    let accepted =
        storm(address, 500, |n| EventRequest { at, ..EventRequest::of(format!("after-{n}")) }.sign()).await;
    assert_eq!(accepted, [(202, 500)]);
    assert_eq!(target.receiver.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(target.notes.count(), 501);

    if let (Some(before), Some(after)) = (before, resident_mib_most()) {
        println!(
            "8,229 hostile and 501 true requests in {:.1} s: {} MiB resident at most, {before} MiB before",
            started.elapsed().as_secs_f64(),
            after
        );
        // The strangers live in this process too: their 128 MiB are not the receiver's.
        let receiver = (after - before).saturating_sub(128 + 2);
        assert!(receiver < 64, "{receiver} MiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_does_not_keep_true_events_out() {
    let target = serve().await;
    let slow = sign(OTHER_SECRET, "dlv_slow", unix_now(), http::Method::POST, "");
    let mut hanging = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(target.address).await.unwrap();
        stream.write_all(head(&slow, 1000).as_bytes()).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        hanging.push(stream);
    }
    let at = unix_now();
    let started = Instant::now();
    let accepted =
        storm(target.address, 100, |n| EventRequest { at, ..EventRequest::of(format!("b-{n}")) }.sign())
            .await;
    assert_eq!(accepted, [(202, 100)]);
    println!("100 true events in {:?} beside 200 connections that trickle", started.elapsed());
    for stream in hanging {
        assert_eq!(status(stream).await, 408);
    }
}
