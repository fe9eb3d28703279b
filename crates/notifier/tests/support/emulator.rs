//! Emulators of AWS that we did not write, from the workspace's Python environment: started on a free port of
//! 127.0.0.1, killed when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

#[path = "port.rs"]
mod port;

/// How long an emulator may take to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// A running emulator.
pub(crate) struct Emulator {
    /// Where it answers: `http://127.0.0.1:PORT`.
    pub url: String,
    _process: Child,
}

impl Emulator {
    /// MiniStack, with more variables for it.
    pub(crate) async fn ministack(more: &[(&str, &str)]) -> Self {
        let env = [
            ("GATEWAY_PORT", "{port}"),
            ("BIND_HOST", "127.0.0.1"),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("LOG_LEVEL", "WARNING"),
        ];
        Self::start("ministack", &[], &[&env, more].concat()).await
    }

    /// Starts a Python module and waits until it listens. `{port}` in an argument or a value stands for its port.
    /// Nothing of this machine's environment reaches it but `PATH`.
    pub(crate) async fn start(module: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let port = port::free();
        let fill = |text: &str| text.replace("{port}", &port.to_string());
        let mut process = python()
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

/// The workspace's Python, with an empty environment and nothing to say.
pub(crate) fn python() -> Command {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test-tools` first", python.display());
    let mut command = Command::new(python);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}
