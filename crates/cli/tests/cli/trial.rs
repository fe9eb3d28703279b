//! A trial: `demo --keep` or `simulate` in one terminal, and commands after `source` in others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Notifier, Run, Running, notifier};

/// The process in the first terminal, and the variables of the second after `source`.
pub(crate) struct Trial {
    pub process: Running,
    /// Its notes on stderr.
    pub notes: Vec<String>,
    /// The file to `source`.
    pub file: PathBuf,
    pub variables: BTreeMap<String, String>,
    /// Its temporary folder is in here.
    pub temporary: TempDir,
}

impl Trial {
    /// Starts one in a terminal of 40 columns, and waits for this text.
    pub(crate) fn start(run: Notifier, last: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let run = run.env("COLUMNS", "40").env("TMPDIR", temporary.path().to_str().unwrap());
        let mut process = run.start();
        let notes = process.stderr_until(last);
        let named = notes.iter().find_map(|line| line.trim().strip_prefix("source "));
        let file = PathBuf::from(named.expect("it names no file"));
        let variables = sourced(&file);
        Self { process, notes, file, variables, temporary }
    }

    /// The commands in its notes, without the name of the program.
    pub(crate) fn commands(&self) -> Vec<String> {
        let commands = self.notes.iter().filter_map(|line| line.trim().strip_prefix("ecs-task-notifier "));
        commands.map(str::to_owned).collect()
    }

    /// Starts a command with only the variables of the file.
    fn typed(&self, command: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("exec ecs-task-notifier {command}")]).env_clear().envs(&self.variables);
        shell
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, command: &str) -> Run {
        let output = self.typed(command).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("it was killed");
        Run { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Leaves it running.
    pub(crate) fn running(&self, command: &str) -> Running {
        let mut typed = self.typed(command);
        typed.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::spawn(typed)
    }

    /// Presses Ctrl-C; no file may be left.
    pub(crate) fn end(self) -> Run {
        let run = self.process.stop_by("INT");
        assert!(!self.file.exists(), "{} is still there", self.file.display());
        assert_is_empty(&self.temporary);
        run
    }
}

/// Checks that no temporary folder is left.
pub(crate) fn assert_is_empty(temporary: &TempDir) {
    let left: Vec<_> =
        std::fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The variables of a terminal with earlier variables.
fn sourced(file: &std::path::Path) -> BTreeMap<String, String> {
    let output = Command::new("/bin/sh")
        .args(["-c", ". \"$0\"; env"])
        .arg(file)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_PROFILE", "production")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
        .env("NOTIFIER_TASKS_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/real")
        .env("NOTIFIER_ATTEMPTS", "none")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect()
}

#[test]
fn a_signal_in_the_middle_of_the_demo_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let run = notifier("demo --keep --services 0").env("TMPDIR", temporary.path().to_str().unwrap());
    let mut demo = run.start();
    demo.stderr_until("event ");
    let run = demo.stop_by("INT");
    // On a busy machine the signal may come after the end of the broadcast.
    let expected = if run.code == 0 { "everything is left running" } else { "SIGINT ended the demo" };
    assert!(matches!(run.code, 0 | 1) && run.stderr.contains(expected), "{run}");
    assert_is_empty(&temporary);
}
