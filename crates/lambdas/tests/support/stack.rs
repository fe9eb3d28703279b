//! The module as terraform applies it to MiniStack, its functions running there, ECS and EC2 answered by the simulator.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System};
use notifier::aws::{Aws, Options};
use serde_json::Value;
use simulator::{Fleet, Simulator};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::emulator::Emulator;

/// Longest wait for something that happens within seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// Longest run of terraform.
const TERRAFORM: Duration = Duration::from_secs(300);

/// How the stack differs from the module as it stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Twist<'a> {
    /// MiniStack enforces IAM.
    pub(crate) auth: bool,
    /// This text of the module's `iam.tf` becomes that.
    pub(crate) iam: Option<(&'a str, &'a str)>,
}

pub(crate) struct Stack {
    pub(crate) simulator: Simulator,
    pub(crate) sqs: Client,
    outputs: Value,
    folder: TempDir,
    emulator: Emulator,
}

impl Stack {
    /// Applies the module for this fleet.
    pub(crate) async fn apply(fleet: &str, twist: Twist<'_>) -> Self {
        let simulator =
            Simulator::start(Fleet::from_toml(fleet).unwrap(), simulator::Options::default()).await.unwrap();
        let auth = if twist.auth { "true" } else { "false" };
        let url = "http://127.0.0.1:{port}";
        let env = [
            ("GATEWAY_PORT", "{port}"),
            ("BIND_HOST", "127.0.0.1"),
            ("MINISTACK_HOST", "127.0.0.1"),
            ("LAMBDA_EXECUTOR", "local"),
            ("AWS_ENDPOINT_URL", url),
            ("AUTH", auth),
            ("LOG_LEVEL", "WARNING"),
        ];
        let emulator = Emulator::start("ministack", &[], &env).await;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &simulator.url(), twist);
        let options = Options {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(emulator.url.clone()),
            ..Options::default()
        };
        let sqs = Aws::at(&options.endpoint_url.unwrap(), "us-east-1").sqs;
        let mut stack = Self { simulator, sqs, outputs: Value::Null, folder, emulator };
        stack.terraform(&["init", "-input=false", "-no-color"]).await;
        stack.terraform(&["apply", "-auto-approve", "-input=false", "-no-color"]).await;
        stack.outputs = serde_json::from_str(&stack.terraform(&["output", "-json"]).await).unwrap();
        stack
    }

    /// Takes everything down again.
    pub(crate) async fn destroy(&self) {
        self.terraform(&["destroy", "-auto-approve", "-input=false", "-no-color"]).await;
    }

    /// URL of a stage's queue.
    pub(crate) fn queue(&self, stage: &str) -> &str {
        self.outputs["queue_urls"]["value"][stage].as_str().unwrap()
    }

    /// URL of a stage's dead-letter queue.
    pub(crate) fn dead_letters(&self, stage: &str) -> &str {
        self.outputs["dead_letter_queue_urls"]["value"][stage].as_str().unwrap()
    }

    pub(crate) async fn send(&self, stage: &str, body: &str) {
        self.sqs.send_message().queue_url(self.queue(stage)).message_body(body).send().await.unwrap();
    }

    /// Takes so many dead letters of a stage, as soon as they are there.
    pub(crate) async fn buried(&self, stage: &str, count: usize) -> Vec<Message> {
        let url = self.dead_letters(stage);
        let mut all = Vec::new();
        let until = Instant::now() + SOON;
        while all.len() < count {
            assert!(Instant::now() < until, "{} of {count} dead letters of stage {stage}", all.len());
            let call = self.sqs.receive_message().queue_url(url).max_number_of_messages(10);
            let call = call.wait_time_seconds(1).visibility_timeout(600).message_attribute_names("All");
            let call = call.message_system_attribute_names(System::All);
            all.extend(call.send().await.unwrap().messages.unwrap_or_default());
        }
        all
    }

    /// The queues that are there now.
    pub(crate) async fn queues(&self) -> Vec<String> {
        self.sqs.list_queues().send().await.unwrap().queue_urls.unwrap_or_default()
    }

    /// Waits until the containers have received so many requests.
    pub(crate) async fn received(&self, count: usize) {
        let until = Instant::now() + SOON;
        while self.simulator.received().len() < count {
            let so_far = self.simulator.received().len();
            assert!(Instant::now() < until, "{so_far} of {count} requests");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn terraform(&self, args: &[&str]) -> String {
        let mut command = Command::new(terraform());
        command.arg(format!("-chdir={}", self.folder.path().display())).args(args);
        command.env("AWS_ENDPOINT_URL", &self.emulator.url).env("AWS_REGION", "us-east-1");
        // MiniStack's root, whatever credentials this machine has.
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(TERRAFORM, command.output()).await.expect("terraform takes too long").unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "terraform {args:?}:\n{stdout}\n{stderr}");
        stdout.into_owned()
    }
}

/// The configuration that a user would write, beside a copy of the module without its lock file and state.
fn write(folder: &Path, simulator: &str, Twist { iam, .. }: Twist<'_>) {
    let module = folder.join("module");
    std::fs::create_dir(&module).unwrap();
    for entry in std::fs::read_dir(repository().join("infra/terraform")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tf" || extension == "json") {
            std::fs::copy(&path, module.join(path.file_name().unwrap())).unwrap();
        }
    }
    if let Some((from, to)) = iam {
        let text = std::fs::read_to_string(module.join("iam.tf")).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in iam.tf");
        std::fs::write(module.join("iam.tf"), text.replace(from, to)).unwrap();
    }
    let archives = archives();
    let main = format!(
        r#"
module "notifier" {{
  source             = "./module"
  architecture       = "x86_64"
  archives_dir       = "{}"
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  allow_networks     = ["127.0.0.0/8"]

  environment = {{
    AWS_ENDPOINT_URL_ECS = "{simulator}"
    AWS_ENDPOINT_URL_EC2 = "{simulator}"
  }}
}}

output "queue_urls" {{
  value = module.notifier.queue_urls
}}

output "dead_letter_queue_urls" {{
  value = module.notifier.dead_letter_queue_urls
}}
"#,
        archives.display()
    );
    std::fs::write(folder.join("main.tf"), main).unwrap();
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `TF` names the program; `terraform` when it does not.
#[expect(clippy::disallowed_methods, reason = "which terraform to use is the test runner's to say")]
fn terraform() -> String {
    std::env::var("TF").unwrap_or_else(|_| "terraform".to_owned())
}

/// Where `make lambda` puts the archives.
fn archives() -> PathBuf {
    let archives = repository().join("target/lambda/x86_64");
    assert!(archives.exists(), "{} is missing: run `make test-deployed`", archives.display());
    archives
}
