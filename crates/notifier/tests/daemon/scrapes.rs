//! `/metrics` under scrapers that are slow, or many.

use std::sync::Arc;
use std::time::Duration;

use notifier::daemon::http::{self, Pages};
use notifier::model::Progress;
use notifier::model::{Delivery, Member, Outcome, ProgressEvent};
use notifier::telemetry::{Metrics, MetricsSources, Tally};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::SOON;

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
/// As many as are counted apart, so that the text is as long as it gets.
const SERVICES: usize = 1_000;

/// A server with the metrics of a thousand services.
async fn start() -> (std::net::SocketAddr, Metrics, Progress, CancellationToken) {
    let metrics = Metrics::new(Tally::new(true));
    let progress = metrics.of(Progress::default());
    (0..SERVICES).for_each(|n| progress.emit(settled(n)));
    let pages =
        Pages { metrics: Some(Arc::new((metrics.clone(), MetricsSources::default()))), ..Pages::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, closing) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(http::serve(listener, pages, closing.clone()));
    (address, metrics, progress, closing)
}

fn settled(service: usize) -> ProgressEvent {
    let member = Member { service: format!("service-{service:04}"), ..Member::of_task("prod", "arn:task/1") };
    let delivery =
        Delivery { member: Arc::new(member), outcome: Some(Outcome::Delivered), ..Delivery::default() };
    let broadcast = "b".parse().unwrap();
    ProgressEvent::Settled { broadcast, trace: None, delivery, age: None }
}

async fn scrape(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(SCRAPE).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn scrapers_that_do_not_read_keep_nobody_waiting_and_lose_no_sample() {
    let (address, metrics, progress, closing) = start().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(SCRAPE).await.unwrap();
        slow.push(stream);
    }
    for n in 0..SERVICES {
        progress.emit(settled(n));
    }
    let whole = scrape(address).await;
    assert!(whole.starts_with("HTTP/1.1 200"), "{}", whole.get(..200).unwrap_or(&whole));
    assert!(whole.len() < 2_000_000, "{} bytes", whole.len());
    // A text answers for half a second.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let later = scrape(address).await;
    let of = |text: &str| text.lines().filter(|line| line.ends_with("outcome=\"delivered\"} 2")).count();
    assert_eq!(of(&later), SERVICES, "each delivery is counted");
    assert_eq!(metrics.outcomes()[0], (Outcome::Delivered, 2 * SERVICES as u64));
    drop(slow);
    closing.cancel();
}

#[tokio::test]
async fn without_metrics_there_is_no_such_page() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, closing) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(http::serve(listener, Pages::default(), closing.clone()));
    assert!(scrape(address).await.starts_with("HTTP/1.1 404"));
    closing.cancel();
}
