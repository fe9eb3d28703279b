//! Real listeners for the tasks of other emulators.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The requests to each address: request line and body.
type Heard = Arc<Mutex<BTreeMap<Ipv4Addr, Vec<(String, String)>>>>;

/// A listener at each of some addresses, all on one port; they answer 202 and last as long as the test.
pub(crate) struct Receivers {
    pub port: u16,
    heard: Heard,
}

impl Receivers {
    pub(crate) fn at(addresses: &[Ipv4Addr]) -> Self {
        let (mut port, heard) = (0, Heard::default());
        for &address in addresses {
            // The first takes any port that is free.
            let listener = TcpListener::bind((address, port)).unwrap();
            port = listener.local_addr().unwrap().port();
            let heard = Arc::clone(&heard);
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    let request = answer(stream);
                    heard.lock().unwrap().entry(address).or_default().push(request);
                }
            });
        }
        Self { port, heard }
    }

    pub(crate) fn heard(&self) -> BTreeMap<Ipv4Addr, Vec<(String, String)>> {
        self.heard.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let head: Vec<String> =
        reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let length =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    reader.into_inner().write_all(answer).unwrap();
    (head[0].clone(), String::from_utf8(body).unwrap())
}
