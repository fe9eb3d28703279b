//! Moto with EC2 instances of every kind, as `python/moto_instances.py` makes them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use crate::emulator::{Emulator, python};

/// What the script prints.
#[derive(serde::Deserialize)]
pub(crate) struct Instances {
    /// Running, with an IPv4 address.
    pub plain: Vec<String>,
    /// Running, with both.
    pub dual: String,
    /// Stopped.
    pub stopped: String,
    /// Terminated.
    pub terminated: String,
    /// The IPv4 and the IPv6 address of each, as boto3 read them.
    pub seen: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Access key of a user who may describe instances; moto checks signatures if there is one.
    pub key: Option<String>,
    /// Its secret.
    pub secret: Option<String>,
}

/// Starts moto with `count` plain instances and one of each other kind.
pub(crate) async fn moto(count: usize, more: &[&str]) -> (Emulator, Instances) {
    let moto = Emulator::start("moto.server", &["-H", "127.0.0.1", "-p", "{port}"], &[]).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/moto_instances.py");
    let mut command = python();
    command.arg(script).args([moto.url.as_str(), &count.to_string()]).args(more);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let instances =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaint}"));
    (moto, instances)
}
