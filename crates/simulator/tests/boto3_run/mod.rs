//! Runs Python tests of `tests/boto3` against a simulator. There, botocore parses every answer by AWS's own service
//! model: an opinion that nobody here wrote.

use std::path::Path;
use std::process::Stdio;

use simulator::Simulator;
use tokio::process::Command;

/// Runs one file of `tests/boto3`, or those of its tests whose names contain `only`. Fails with pytest's report.
pub(crate) async fn judge(sim: &Simulator, file: &str, only: &str) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = package.join("../../.venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make test-tools` first", python.display());
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", only])
        .arg(package.join("tests/boto3").join(file))
        .current_dir(package)
        // Nothing of the machine's AWS settings reaches the clients.
        .env_clear()
        .env("SIMULATOR_URL", sim.url())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("python does not start: {error}"));
    let report = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{complaint}");
}
