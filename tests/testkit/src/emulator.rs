//! Emulators of AWS by other authors, MiniStack and moto: each starts on a free port of 127.0.0.1, and is killed when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Child;

use crate::{ports, python};

/// Maximum start time on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    /// Its endpoint, `http://127.0.0.1:PORT`.
    pub url: String,
    _process: Child,
}

impl Emulator {
    /// Starts MiniStack with extra environment variables.
    pub async fn ministack(more: &[(&str, &str)]) -> Self {
        let env = [
            ("GATEWAY_PORT", "{port}"),
            ("BIND_HOST", "127.0.0.1"),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("LOG_LEVEL", "WARNING"),
        ];
        Self::start("ministack", &[], &[&env, more].concat()).await
    }

    /// Starts a Python module and waits until it listens. `{port}` in arguments and values is replaced by its port.
    ///
    /// The module sees no environment variable of this process.
    pub async fn start(module: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let port = ports::free();
        let fill = |text: &str| text.replace("{port}", &port.to_string());
        let mut process = python::command()
            .args(["-m", module])
            .args(args.iter().map(|arg| fill(arg)))
            .envs(env.iter().map(|(name, value)| (name, fill(value))))
            .spawn()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = process.try_wait().unwrap() {
                    panic!("{module} ended with {status}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let started = tokio::time::timeout(START_MAX, listens).await;
        assert!(started.is_ok(), "{module} does not listen at {address}");
        Self { url: format!("http://{address}"), _process: process }
    }
}
