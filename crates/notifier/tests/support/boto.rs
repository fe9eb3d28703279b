//! AWS's own Python client, for what a test sets up: what our clients then read was written by somebody else.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::emulator::{Emulator, python};

/// The access key that is MiniStack's owner, and its secret: it may do everything, and refuses nobody's calls but by policy.
const OWNER: [&str; 2] = ["test", "test"];

/// MiniStack with this setting of `AUTH`: whether it judges keys and policies.
pub(crate) async fn ministack(auth: bool) -> Emulator {
    Emulator::ministack(&[("AUTH", if auth { "true" } else { "false" })]).await
}

/// A running client; it ends when dropped.
pub(crate) struct Boto {
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Boto {
    /// A client of the services at this URL.
    pub(crate) fn start(url: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/aws_calls.py");
        let mut command = python();
        command.arg(script).arg(url).args(OWNER).stdin(Stdio::piped()).stdout(Stdio::piped());
        // What it says when a call cannot be made at all is what a failing test has to show.
        command.stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { stdin, answers, _process: process }
    }

    /// The answer to one call.
    pub(crate) async fn call(&mut self, service: &str, operation: &str, parameters: Value) -> Value {
        let line = format!("{}\n", json!([service, operation, parameters]));
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        let answer = self.answers.next_line().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.expect("boto3 made the call")).unwrap();
        assert_eq!(answer.get("error"), None, "{line}");
        answer
    }

    /// A new secret of Secrets Manager; the answer is its ARN.
    pub(crate) async fn secret(&mut self, name: &str, text: &str) -> String {
        let made = json!({ "Name": name, "SecretString": text });
        let answer = self.call("secretsmanager", "create_secret", made).await;
        answer["ARN"].as_str().unwrap().to_owned()
    }

    /// Puts a new version where nobody reads it yet, as the first step of a rotation does; the answer is its id.
    pub(crate) async fn put_pending(&mut self, secret: &str, text: &str) -> String {
        let put = json!({ "SecretId": secret, "SecretString": text, "VersionStages": ["AWSPENDING"] });
        let answer = self.call("secretsmanager", "put_secret_value", put).await;
        answer["VersionId"].as_str().unwrap().to_owned()
    }

    /// Makes a version the current one, as the last step of a rotation does.
    pub(crate) async fn finish(&mut self, secret: &str, version: &str) {
        let described = self.call("secretsmanager", "describe_secret", json!({ "SecretId": secret })).await;
        let stages = described["VersionIdsToStages"].as_object().unwrap();
        let is_current = |stages: &Value| stages.as_array().unwrap().contains(&json!("AWSCURRENT"));
        let (current, _) = stages.iter().find(|(_, stages)| is_current(stages)).unwrap();
        let moved = json!({ "SecretId": secret, "VersionStage": "AWSCURRENT",
            "MoveToVersionId": version, "RemoveFromVersionId": current });
        self.call("secretsmanager", "update_secret_version_stage", moved).await;
    }

    /// Rotates the secret to this text, as AWS's rotation functions do.
    pub(crate) async fn rotate(&mut self, secret: &str, text: &str) {
        let version = self.put_pending(secret, text).await;
        self.finish(secret, &version).await;
    }
}
