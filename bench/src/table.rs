//! DynamoDB as far as writing needs it: takes everything, keeps nothing, and counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::process;

/// Everything was written.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 23\r\n\r\n\
    {\"UnprocessedItems\":{}}";
/// The longest request that is read: a batch of 25 small items has some 20 KB.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Answers until the input ends; prints the port at the start, and the requests at the end.
pub(crate) fn run() -> Result<ExitCode> {
    process::pin(1);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let requests = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&requests);
    // Its connections end with the client, and it with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let requests = Arc::clone(&counted);
            std::thread::spawn(move || answer(stream, &requests));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{}", requests.load(Ordering::SeqCst));
    Ok(ExitCode::SUCCESS)
}

/// Answers each request of a connection, until it ends.
fn answer(stream: TcpStream, requests: &AtomicU64) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = Some(value.parse::<usize>()?.min(REQUEST_BYTES_MAX));
            }
        }
        // Also the end of the connection.
        let length = length.context("a request without a length")?;
        reader.read_exact(&mut vec![0; length])?;
        requests.fetch_add(1, Ordering::SeqCst);
        stream.write_all(ANSWER)?;
    }
}
