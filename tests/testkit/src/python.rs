//! The Python environment that `make test-tools` installs into `.venv`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Returns the path of the interpreter.
///
/// # Panics
///
/// If it is not installed.
pub fn interpreter() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    assert!(path.exists(), "{} is missing: run `make test-tools` first", path.display());
    path
}

/// Returns a command of the interpreter with an empty environment and no input or output. It is killed when dropped.
pub fn command() -> Command {
    let mut command = Command::new(interpreter());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// Returns a command that runs a script of this crate's `python` folder, with its output kept.
pub fn script_command(name: &str) -> Command {
    let mut command = command();
    command.arg(script(name)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a script of this crate's `python` folder with these arguments and this input, and returns what it prints.
///
/// # Panics
///
/// If the script fails.
pub async fn answer(name: &str, arguments: &[&str], input: &str) -> String {
    let mut command = script_command(name);
    let mut process = command.args(arguments).stdin(Stdio::piped()).spawn().expect("the interpreter starts");
    // Both scripts and their inputs are small: the input is read before anything is printed.
    let mut stdin = process.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).await.expect("the script reads its input");
    drop(stdin);
    let output = process.wait_with_output().await.expect("the script ends");
    assert!(output.status.success(), "{name}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the path of a script in this crate's `python` folder.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}
