//! Moto with EC2 instances of every kind, created by `python/moto_instances.py`.

use std::collections::BTreeMap;
use std::process::Stdio;

use crate::emulator::Emulator;
use crate::python;

/// The instances, as the script prints them.
#[derive(Debug, serde::Deserialize)]
pub struct Instances {
    /// Running, with an IPv4 address.
    pub plain: Vec<String>,
    /// Running, with an IPv4 and an IPv6 address.
    pub dual: String,
    /// Stopped.
    pub stopped: String,
    /// Terminated.
    pub terminated: String,
    /// IPv4 and IPv6 address of each instance, as boto3 read them.
    pub seen: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Access key of a user who may describe instances. With a key, moto checks signatures.
    pub key: Option<String>,
    /// Secret of the access key.
    pub secret: Option<String>,
}

/// Starts moto with `count` plain instances and one of each other kind.
pub async fn start(count: usize, more: &[&str]) -> (Emulator, Instances) {
    let moto = Emulator::start("moto.server", &["-H", "127.0.0.1", "-p", "{port}"], &[]).await;
    let mut command = python::command();
    command.arg(python::script("moto_instances.py")).args([moto.url.as_str(), &count.to_string()]).args(more);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let instances =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {complaint}"));
    (moto, instances)
}
