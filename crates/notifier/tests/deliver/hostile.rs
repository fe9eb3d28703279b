//! Tasks that hang, flood, lie or break off: every one of them costs a bounded time and a bounded amount of memory.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use notifier::base::Rng;
use notifier::deliver::{Deliverer, DeliveryOptions};
use notifier::model::network::Networks;
use notifier::model::{Delivery, Outcome};
use tokio::net::{TcpSocket, TcpStream};

use crate::server::{Act, Server, reply};
use crate::support::{broadcast, deliver, deliver_to, endpoint, fixed_clock, hasty, ms, patient};

async fn meets(options: &DeliveryOptions, script: Vec<Act>) -> Delivery {
    let server = Server::playing(vec![script]).await;
    let started = Instant::now();
    let result = deliver(options, server.address).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    result
}

async fn check(options: &DeliveryOptions, script: Vec<Act>, outcome: Outcome, reason: &str) {
    let result = meets(options, script).await;
    assert_eq!((result.outcome, result.reason.as_deref().unwrap_or_default()), (Some(outcome), reason));
}

/// All at the same time, because most of them take as long as they may.
async fn check_all<const N: usize>(scripts: [Vec<Act>; N], outcome: Outcome, reason: &str) {
    let options = hasty();
    join_all(scripts.map(|script| check(&options, script, outcome, reason))).await;
}

fn write(text: &str) -> Act {
    Act::Write(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_host_that_never_completes_the_connection_is_given_up_in_time() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // No accept: when the backlog is full, the kernel lets new connections hang.
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(ms(100), TcpStream::connect(address)).await {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue never fills");
    }
    let options = DeliveryOptions { connect_timeout: ms(200), ..hasty() };
    let result = deliver(&options, address).await;
    assert_eq!(result.outcome, Some(Outcome::Failed));
    assert_eq!(result.reason.unwrap(), "no connection within 200ms");
}

#[tokio::test]
async fn a_task_that_never_answers_is_given_up_in_time() {
    let silent = "no answer within 1.5s";
    let scripts = [vec![], vec![Act::Read], vec![Act::Read, write("HTTP/1.1 200 OK\r\n")]];
    check_all(scripts.map(|script| [script, vec![Act::Hang]].concat()), Outcome::Failed, silent).await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_given_up_in_time() {
    let trickle = Act::Trickle(b"x-slow: 1\r\n".to_vec(), ms(20));
    let script = vec![Act::Read, write("HTTP/1.1 200 OK\r\n"), trickle];
    check(&hasty(), script, Outcome::Failed, "no answer within 1.5s").await;
}

#[tokio::test]
async fn provisional_answers_without_end_are_given_up_in_time() {
    let trickle = Act::Trickle(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec(), ms(5));
    check(&hasty(), vec![Act::Read, trickle], Outcome::Failed, "no answer within 1.5s").await;
}

#[tokio::test]
async fn a_provisional_answer_is_not_the_answer() {
    let script = vec![Act::Read, write("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n")];
    check(&patient(), script, Outcome::Rejected, "answered 404 Not Found").await;
}

#[tokio::test]
async fn the_status_counts_whatever_becomes_of_the_body() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\npart";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let scripts = [
        vec![Act::Read, write(ok), Act::Hang],
        vec![Act::Read, write(ok), Act::Reset],
        vec![Act::Read, write(ok)],
        vec![Act::Read, write(chunked), write("not a chunk\r\n"), Act::Hang],
        vec![Act::Read, write(chunked), Act::Trickle(b"1\r\nx\r\n".to_vec(), ms(20))],
        vec![Act::Read, write(chunked), Act::Flood(b"5\r\nhello\r\n".repeat(1000))],
    ];
    check_all(scripts, Outcome::Delivered, "").await;
}

#[tokio::test]
async fn a_no_with_a_body_without_end_is_a_no_with_the_start_of_it() {
    let no = "HTTP/1.1 403 Forbidden\r\n\r\n";
    let result = meets(&patient(), vec![Act::Read, write(no), Act::Flood(b"word ".repeat(1000))]).await;
    assert_eq!(result.outcome, Some(Outcome::Rejected));
    assert_eq!(result.reason.unwrap(), format!("answered 403 Forbidden: {}…", "word ".repeat(40)));

    let script = vec![Act::Read, write(no), write("because"), Act::Hang];
    check(&hasty(), script, Outcome::Rejected, "answered 403 Forbidden: because").await;
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_the_limit() {
    let options = DeliveryOptions { answer_bytes_max: 8, ..patient() };
    check(&options, reply("403 x", "12345678"), Outcome::Rejected, "answered 403 Forbidden: 12345678").await;
    check(&options, reply("403 x", "123456789"), Outcome::Rejected, "answered 403 Forbidden: 12345678").await;
    let nothing = DeliveryOptions { answer_bytes_max: 0, ..patient() };
    check(&nothing, reply("403 x", "123456789"), Outcome::Rejected, "answered 403 Forbidden").await;
}

#[tokio::test]
async fn a_head_beyond_all_bounds_is_a_failed_attempt() {
    let options = DeliveryOptions { attempts: 1, ..patient() };
    let begin = || write("HTTP/1.1 200 OK\r\n");
    let long_line = vec![Act::Read, begin(), write("x-long: "), Act::Flood(vec![b'x'; 4096])];
    let lines = vec![Act::Read, begin(), Act::Flood(b"x-many: 1\r\n".repeat(100))];
    let many = vec![Act::Read, begin(), write(&"a: 1\r\n".repeat(101)), write("\r\n")];
    let large = |bytes| vec![Act::Read, begin(), write(&format!("a: {}\r\n\r\n", "x".repeat(bytes)))];
    for script in [long_line, lines, many, large(20 * 1024)] {
        check(&options, script, Outcome::Failed, "the answer cannot be read: message head is too large")
            .await;
    }
    let enough = vec![Act::Read, begin(), write(&"a: 1\r\n".repeat(90)), write("\r\n")];
    for script in [enough, large(10 * 1024)] {
        check(&options, script, Outcome::Delivered, "").await;
    }
}

#[tokio::test]
async fn what_is_not_http_is_tried_again() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01\x00\x02\x02\x46",
        "HTTP/1.1 9999 No\r\n\r\n",
        "HTTP/1.1 2OO OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let server = Server::playing(vec![vec![Act::Read, write(garbage)], reply("200 OK", "")]).await;
        let result = deliver(&patient(), server.address).await;
        assert_eq!((result.outcome, result.attempts), (Some(Outcome::Delivered), Some(2)), "{garbage:?}");
    }
    let options = DeliveryOptions { attempts: 1, ..patient() };
    let result = meets(&options, vec![Act::Read, write("SSH-2.0-OpenSSH_9.2\r\n")]).await;
    assert!(result.reason.unwrap().starts_with("the answer cannot be read: "));
}

#[tokio::test]
async fn what_a_task_says_cannot_write_to_a_terminal() {
    let evil = "\x1b]0;owned\x07\x1b[2Jred\r\nsecond line";
    check(
        &patient(),
        reply("400 x", evil),
        Outcome::Rejected,
        "answered 400 Bad Request: ]0;owned [2Jred second line",
    )
    .await;
}

#[tokio::test]
async fn a_closed_address_is_never_connected_to() {
    let server = Server::answering("200 OK").await;
    let deliverer = Deliverer::new(&patient(), Networks::default(), fixed_clock(), Rng::seeded(1));
    let endpoint = endpoint(server.address);
    let result = deliver_to(&deliverer, &broadcast(), endpoint).await;
    assert_eq!((result.outcome, result.attempts), (Some(Outcome::Failed), Some(1)));
    assert_eq!(
        result.reason.unwrap(),
        "the address must not be called: it is loopback, which must be allowed explicitly"
    );
    assert_eq!(server.connections(), 0);
}
