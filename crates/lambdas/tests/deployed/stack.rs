//! The Terraform module applied to MiniStack, with its functions; the simulator answers for ECS and EC2.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System, QueueAttributeName as Attribute};
use notifier::aws::Aws;
use notifier::base::{Clock, Rng};
use notifier::ledger::{DAYS_DEFAULT, Ledger};
use notifier::store::dynamodb::DynamoDb;
use serde_json::Value;
use simulator::Simulator;
use tempfile::TempDir;
use testkit::boto::Boto;
use testkit::emulator::Emulator;
use testkit::{fleets, python, task_events};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for something that happens within seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// Receives of a delivery before it is given up.
pub(crate) const NOTIFY_RECEIVES_MAX: usize = 5;
/// Longest run of terraform.
const TERRAFORM: Duration = Duration::from_secs(300);

/// Differences between the stack and the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Twist<'a> {
    /// MiniStack enforces IAM, with small differences from AWS: see `write`.
    pub(crate) auth: bool,
    /// This text of the module's `iam.tf` becomes that.
    pub(crate) iam: Option<(&'a str, &'a str)>,
    /// The archives come from a release, not from where they were built.
    pub(crate) release: bool,
    /// The sources of `sources.py`, with the rules of `routes.toml`.
    pub(crate) sources: bool,
    /// More variables of the module.
    pub(crate) variables: &'a str,
}

pub(crate) struct Stack {
    pub(crate) simulator: Simulator,
    pub(crate) sqs: Client,
    pub(crate) ledger: Ledger,
    outputs: Value,
    folder: TempDir,
    emulator: Emulator,
}

impl Stack {
    /// Applies the module for this fleet.
    pub(crate) async fn apply(fleet: &str, twist: Twist<'_>) -> Self {
        let simulator = fleets::start_with(fleet, task_events::options()).await;
        let auth = if twist.auth { "true" } else { "false" };
        let url = "http://127.0.0.1:{port}";
        let env = [
            ("LAMBDA_EXECUTOR", "local"),
            ("AWS_ENDPOINT_URL", url),
            ("AUTH", auth),
            // The identity of the tests' own SQS client has all permissions, and so has terraform's `test`.
            ("AWS_ACCESS_KEY_ID", "simulator"),
            ("AWS_SECRET_ACCESS_KEY", "simulator"),
        ];
        let emulator = Emulator::ministack(&env).await;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &simulator.url(), twist);
        let aws = Aws::at(&emulator.url, "us-east-1");
        let table = DynamoDb::new(aws.dynamodb, "ecs-task-notifier", Rng::seeded(1));
        let ledger = Ledger::new(Arc::new(table), Clock::system(), DAYS_DEFAULT);
        let mut stack = Self { simulator, sqs: aws.sqs, ledger, outputs: Value::Null, folder, emulator };
        stack.terraform(&["init", "-input=false", "-no-color"]).await;
        stack.terraform(&["apply", "-auto-approve", "-input=false", "-no-color"]).await;
        stack.outputs = serde_json::from_str(&stack.terraform(&["output", "-json"]).await).unwrap();
        if twist.sources {
            // The offline provider does not create parameters.
            stack
                .script(&[
                    "rules",
                    "/ecs-task-notifier/routes",
                    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/routes.toml"),
                ])
                .await;
        }
        stack
    }

    /// AWS's Python client for MiniStack.
    pub(crate) fn boto(&self) -> Boto {
        Boto::start(&self.emulator.url)
    }

    /// Makes an event of each source.
    pub(crate) async fn make_events(&self) {
        self.script(&["events"]).await;
    }

    async fn script(&self, arguments: &[&str]) {
        let mut command = python::script_command("sources.py");
        let output = command.arg(&self.emulator.url).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Takes everything down again.
    pub(crate) async fn destroy(&self) {
        self.terraform(&["destroy", "-auto-approve", "-input=false", "-no-color"]).await;
    }

    /// URL of a stage's queue.
    pub(crate) fn queue(&self, stage: &str) -> &str {
        self.outputs["queue_urls"]["value"][stage].as_str().unwrap()
    }

    /// ARN of a stage's queue.
    pub(crate) fn queue_arn(&self, stage: &str) -> String {
        let name = self.queue(stage).rsplit('/').next().unwrap();
        format!("arn:aws:sqs:us-east-1:000000000000:{name}")
    }

    /// URL of a stage's dead-letter queue.
    pub(crate) fn dead_letters(&self, stage: &str) -> &str {
        self.outputs["dead_letter_queue_urls"]["value"][stage].as_str().unwrap()
    }

    pub(crate) async fn send(&self, stage: &str, body: &str) {
        self.sqs.send_message().queue_url(self.queue(stage)).message_body(body).send().await.unwrap();
    }

    /// Waits for this number of dead letters of a stage, and receives them.
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

    /// How many messages of a queue are visible, and how many are in flight.
    pub(crate) async fn count(&self, url: &str) -> (u64, u64) {
        let names =
            [Attribute::ApproximateNumberOfMessages, Attribute::ApproximateNumberOfMessagesNotVisible];
        let call = self.sqs.get_queue_attributes().queue_url(url);
        let attributes =
            call.set_attribute_names(Some(names.to_vec())).send().await.unwrap().attributes.unwrap();
        let [visible, in_flight] = names.map(|name| attributes[&name].parse().unwrap());
        (visible, in_flight)
    }

    /// Waits until a stage's function has taken a message.
    pub(crate) async fn in_flight(&self, stage: &str) {
        let until = Instant::now() + SOON;
        while self.count(self.queue(stage)).await.1 == 0 {
            assert!(Instant::now() < until, "stage {stage} takes no message");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The existing queues.
    pub(crate) async fn queues(&self) -> Vec<String> {
        self.sqs.list_queues().send().await.unwrap().queue_urls.unwrap_or_default()
    }

    /// Waits until the containers have received this number of requests.
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

/// The module's variables for sources.
const SOURCES: &str = r#"
  routes               = file("${path.root}/routes.toml")
  bucket_notifications = { prices = { bucket = aws_s3_bucket.this["prices"].id, notifications = [{}] } }
  event_rules          = { orders = { event_pattern = jsonencode({ source = ["com.example.orders"] }) } }
  table_streams        = { flags = { stream_arn = aws_dynamodb_table.flags.stream_arn } }
  topics = {
    releases = { topic_arn = aws_sns_topic.this["releases"].arn }
    direct   = { topic_arn = aws_sns_topic.this["direct"].arn, raw_message_delivery = true }
  }
"#;

/// The sources themselves, with the names that `sources.py` has for them.
const RESOURCES: &str = r#"
resource "aws_s3_bucket" "this" {
  for_each      = toset(["prices", "images"])
  bucket        = each.key
  force_destroy = true
}

resource "aws_sns_topic" "this" {
  for_each = toset(["releases", "direct"])
  name     = each.key
}

resource "aws_dynamodb_table" "flags" {
  name             = "flags"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "name"
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  attribute {
    name = "name"
    type = "S"
  }
}
"#;

/// The configuration that a user would write, beside a copy of the module without its lock file and state.
fn write(folder: &Path, simulator: &str, Twist { auth, iam, release, sources, variables }: Twist<'_>) {
    let module = folder.join("module");
    std::fs::create_dir(&module).unwrap();
    for entry in std::fs::read_dir(repository().join("infra/terraform")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| ["tf", "json", "sh"].iter().any(|&it| extension == it)) {
            std::fs::copy(&path, module.join(path.file_name().unwrap())).unwrap();
        }
    }
    if let Some((from, to)) = iam {
        change(&module.join("iam.tf"), from, to);
    }
    if auth {
        // MiniStack has no TLS, and enforces the policies that require it.
        for file in ["queues.tf", "archives.tf"] {
            change(&module.join(file), r#"values   = ["false"]"#, r#"values   = ["neither"]"#);
        }
        // On AWS, a batch call needs the permission of the single action; MiniStack requires one with the batch's name.
        for action in ["SendMessage", "ChangeMessageVisibility"] {
            let both = format!(r#""sqs:{action}", "sqs:{action}Batch""#);
            change(&module.join("iam.tf"), &format!(r#""sqs:{action}""#), &both);
        }
    }
    let archives = if release {
        released(&folder.join("release"))
    } else {
        format!("{{ files = \"{}\" }}", archives().display())
    };
    let (sources, resources) = if sources { (SOURCES, RESOURCES) } else { ("", "") };
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routes.toml"),
        folder.join("routes.toml"),
    )
    .unwrap();
    let main = format!(
        r#"
module "notifier" {{
  source             = "./module"
  {sources}
  {variables}
  architecture       = "x86_64"
  archives           = {archives}
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  allow_networks     = ["127.0.0.0/8"]
  unsigned           = true
  aws_budget_percent = 100
  # The module's own number would take the ten minutes of the horizon.
  stages             = {{ notify = {{ receives_max = {NOTIFY_RECEIVES_MAX} }} }}

  environment = {{
    AWS_ENDPOINT_URL_ECS = "{simulator}"
    AWS_ENDPOINT_URL_EC2 = "{simulator}"
    # The account of the clusters is the simulator's, so it answers for the account of the functions too.
    AWS_ENDPOINT_URL_STS = "{simulator}"
    # MiniStack names the account as the sender of every message.
    NOTIFIER_TRUSTED_SENDERS = "000000000000"
  }}
}}

{resources}

output "queue_urls" {{
  value = module.notifier.queue_urls
}}

output "dead_letter_queue_urls" {{
  value = module.notifier.dead_letter_queue_urls
}}
"#
    );
    std::fs::write(folder.join("main.tf"), main).unwrap();
}

/// Copies the archives into a folder as in a release; returns the module's variable for it.
fn released(folder: &Path) -> String {
    std::fs::create_dir(folder).unwrap();
    for entry in std::fs::read_dir(archives()).unwrap() {
        let function = entry.unwrap().path();
        let name = function.file_name().unwrap().to_str().unwrap();
        let name = format!("ecs-task-notifier-1.2.3-lambda-x86_64-{name}.zip");
        std::fs::copy(function.join("bootstrap.zip"), folder.join(name)).unwrap();
    }
    let sums = "sha256sum *.zip > SHA256SUMS && sha256sum SHA256SUMS";
    let sums = std::process::Command::new("sh").args(["-c", sums]).current_dir(folder).output().unwrap();
    let sums = String::from_utf8(sums.stdout).unwrap();
    let sha256 = sums.split_whitespace().next().unwrap();
    let url = folder.display();
    format!(r#"{{ version = "1.2.3", sha256 = "{sha256}", url = "file://{url}" }}"#)
}

fn change(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "`{from}` is not in {}", path.display());
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The program in `TF`, else `terraform`.
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
