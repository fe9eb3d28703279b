//! Runs the binary and simulators.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use insta::Settings;
use insta::internals::SettingsBindDropGuard;

/// How long a run may take on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(120);
/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Text that differs between runs, and its replacement.
const CHANCE: [(&str, &str); 14] = [
    // A second may begin between the signature and its check.
    (r"signed (599|601) s", "signed 600 s"),
    ("whs(ec|k)_[A-Za-z0-9+/=]+", "whs${1}_[secret]"),
    ("whpk_[A-Za-z0-9+/=]+", "whpk_[public]"),
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[uuid]"),
    (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[port]"),
    // The number of the free loopback block, whose digits change the width of the column.
    (r"127\.[1-9]\d*\.(\d+\.\d+:\d+)  +", "127.B.$1  "),
    (r"127\.[1-9]\d*\.(\d+\.\d+)", "127.B.$1"),
    ("  -  +", "  -  "),
    (r"(p50|p99|max) +[\d.]+ (ms|s)\b", "$1 [time]"),
    // After empty columns with the width of other latencies.
    ("notified +attempts", "notified  attempts"),
    (r"[\d.]+ (ms|s) after", "[time] after"),
    (r"\bin [\d.]+ (ms|s)\b", "in [time]"),
    // Latencies always have a fraction; attempts have none.
    (r#"("latency_ms"|"p50"|"p99"|"max"):\d+\.\d+"#, "$1:[time]"),
    (r"(?m),\d+\.\d+,,,([a-z0-9-]*)$", ",[time],,,$1"),
];

/// A fleet with one of each: bridge and Fargate, a sidecar, a task that is unhealthy, labels that are wrong, a service
/// that did not opt in, and a standalone task.
pub(crate) const FLEET: &str = r#"
[[cluster]]
name = "prod"
[[cluster.hosts]]
count = 2

[[cluster.service]]
name = "checkout"
tasks = 2
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/v1.0/notify" }
[[cluster.service.container]]
name = "log-router"

[[cluster.service]]
name = "search"
launch_type = "FARGATE"
tasks = 2
[[cluster.service.container]]
name = "app"
ports = [9000]
health_check = true
health = "HEALTHY"
labels = { NOTIFY_ME_CONTAINER_PORT = "9000", NOTIFY_ME_API_URI = "/reload", NOTIFY_ME_METHOD = "GET" }
[[cluster.service.task]]
number = 2
health = "UNHEALTHY"

[[cluster.service]]
name = "catalog"
launch_type = "FARGATE"
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "eighty", NOTIFY_ME_API_URI = "/notify" }

[[cluster.service]]
name = "web"
launch_type = "FARGATE"
[[cluster.service.container]]
name = "app"
ports = [80]

[[cluster.standalone]]
family = "migrate"
launch_type = "FARGATE"
[[cluster.standalone.container]]
name = "app"
ports = [8080]
labels = { NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }
"#;

/// The same fleet at addresses where nothing listens, the same on every machine.
pub(crate) fn private_fleet() -> String {
    format!("addresses = \"private\"\n{FLEET}")
}

/// A fleet of one service, `work`, with two tasks that answer like this.
pub(crate) fn answering(answers: &str) -> String {
    format!(
        r#"
        [[cluster]]
        name = "prod"
        [[cluster.service]]
        name = "work"
        launch_type = "FARGATE"
        tasks = 2
        [[cluster.service.container]]
        name = "app"
        ports = [8080]
        labels = {{ NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }}
        {answers}
        "#
    )
}

/// Redacts text that differs between runs, until it is dropped.
pub(crate) fn redacted() -> SettingsBindDropGuard {
    let mut settings = Settings::clone_current();
    for (pattern, instead) in CHANCE {
        settings.add_filter(pattern, instead);
    }
    settings.bind_to_scope()
}

/// Polls until the condition is true.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < limit, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }
}

/// The binary with an empty environment.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecs-task-notifier"));
    command.env_clear();
    // No lookup of credentials or a region on the network.
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// One run before its start.
pub(crate) struct Notifier {
    command: Command,
    stdin: &'static str,
}

/// A run of the binary with these arguments, as a shell would split them.
pub(crate) fn notifier(arguments: &str) -> Notifier {
    let mut command = binary();
    command.args(arguments.split_whitespace());
    Notifier { command, stdin: "" }
}

impl Notifier {
    /// Adds an argument with spaces in it.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Uses the emulator at this URL, and allows loopback.
    pub(crate) fn at(mut self, url: &str) -> Self {
        point(&mut self.command, url);
        self
    }

    pub(crate) fn stdin(self, stdin: &'static str) -> Self {
        Self { stdin, ..self }
    }

    pub(crate) fn run(self) -> Run {
        let mut command = assert_cmd::Command::from_std(self.command);
        let output = command.write_stdin(self.stdin).timeout(RUN_MAX).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            code: output.status.code().expect("the run took too long"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The command, for callers that replace its streams.
    pub(crate) fn command(self) -> Command {
        self.command
    }

    /// Starts it and leaves it running.
    pub(crate) fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        Running { _stdin: child.stdin.take(), child }
    }
}

/// A running process; killed when dropped.
pub(crate) struct Running {
    pub child: Child,
    _stdin: Option<ChildStdin>,
}

impl Running {
    /// Another program.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self { _stdin: child.stdin.take(), child }
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, and waits for the end.
    pub(crate) fn stop(self) -> Run {
        self.stop_by("TERM")
    }

    /// The same with this signal.
    pub(crate) fn stop_by(mut self, name: &str) -> Run {
        signal(self.child.id(), name);
        let code = self.child.wait().unwrap().code().expect("it ended by itself");
        let mut run = Run { code, stdout: String::new(), stderr: String::new() };
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut run.stdout).unwrap();
        }
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut run.stderr).unwrap();
        }
        run
    }

    /// Reads a line of stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        unbuffered(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads lines of stderr up to one with this text.
    pub(crate) fn stderr_until(&mut self, text: &str) -> Vec<String> {
        let mut stderr = unbuffered(self.child.stderr.as_mut().unwrap());
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.contains(text)) {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended before `{text}`: {lines:#?}");
            lines.push(line.trim_end().to_owned());
        }
        lines
    }
}

/// Sends a process a signal, named as `kill` names it.
pub(crate) fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
}

/// Reads lines without a buffer, so that later output is not lost.
fn unbuffered<R: Read>(stream: R) -> BufReader<R> {
    BufReader::with_capacity(1, stream)
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have already ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn point(command: &mut Command, url: &str) {
    command.envs([
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("NOTIFIER_ALLOW_NETWORKS", "10.0.0.0/8,127.0.0.0/8"),
        ("NOTIFIER_SIGNING_SECRET", "none"),
    ]);
}

/// A simulator in a separate process.
pub(crate) struct Sim {
    pub url: String,
    _process: Running,
    /// Its temporary directory, which it leaves behind when it is killed.
    _temporary: tempfile::TempDir,
}

impl Sim {
    pub(crate) fn start(fleet: &str) -> Self {
        Self::with_queues(fleet, &[])
    }

    pub(crate) fn with_queues(fleet: &str, queues: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), fleet).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let simulate = notifier("--quiet simulate --no-queues --fleet").arg(file.path().to_str().unwrap());
        let simulate = simulate.env("TMPDIR", temporary.path().to_str().unwrap());
        let simulate = queues.iter().fold(simulate, |run, name| run.arg("--queue").arg(name));
        let mut process = simulate.start();
        let url = process.line();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { url, _process: process, _temporary: temporary }
    }

    pub(crate) fn queue_url(&self, name: &str) -> String {
        format!("{}/111122223333/{name}", self.url)
    }

    /// A run with this simulator that allows loopback.
    pub(crate) fn notifier(&self, arguments: &str) -> Notifier {
        notifier(arguments).at(&self.url)
    }

    /// The same for a line of shell with the binary in its PATH.
    pub(crate) fn shell(&self, script: &str) -> Notifier {
        let mut command = Command::new("/bin/sh");
        let directory = std::path::Path::new(env!("CARGO_BIN_EXE_ecs-task-notifier")).parent().unwrap();
        command.args(["-c", script]).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("PATH", format!("{}:/usr/bin:/bin", directory.display()));
        point(&mut command, &self.url);
        Notifier { command, stdin: "" }
    }

    /// Calls SQS as any client would; the answer is JSON.
    pub(crate) fn sqs(&self, operation: &str, parameters: &str) -> String {
        sqs(&self.url, operation, parameters)
    }
}

/// Calls the SQS at this endpoint as any client would; the answer is JSON.
pub(crate) fn sqs(url: &str, operation: &str, parameters: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-amz-target: AmazonSQS.{operation}\r\n\
         content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{parameters}",
        parameters.len()
    );
    http(address, &request)
}

/// Sends a raw request, and returns the whole answer.
pub(crate) fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
