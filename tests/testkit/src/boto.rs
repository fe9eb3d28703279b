//! AWS's own Python client, boto3. Tests create resources with it, so that the product reads what another client wrote.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::emulator::Emulator;
use crate::python;

/// Access key and secret of MiniStack's owner, who may do everything.
const OWNER: [&str; 2] = ["test", "test"];

/// Starts MiniStack. With `auth` it checks access keys and IAM policies.
pub async fn ministack(auth: bool) -> Emulator {
    Emulator::ministack(&[("AUTH", if auth { "true" } else { "false" })]).await
}

/// A running boto3 process. It ends when dropped.
#[derive(Debug)]
pub struct Boto {
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Boto {
    /// Starts a client of the services at this URL.
    pub fn start(url: &str) -> Self {
        let mut command = python::command();
        command
            .arg(python::script("aws_calls.py"))
            .arg(url)
            .args(OWNER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // A failed test shows its error messages.
        command.stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { stdin, answers, _process: process }
    }

    /// Makes one call and returns the response.
    pub async fn call(&mut self, service: &str, operation: &str, parameters: Value) -> Value {
        let line = format!("{}\n", json!([service, operation, parameters]));
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        let answer = self.answers.next_line().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.expect("boto3 made the call")).unwrap();
        assert_eq!(answer.get("error"), None, "{line}");
        answer
    }

    /// Creates a secret in Secrets Manager and returns its ARN.
    pub async fn secret(&mut self, name: &str, text: &str) -> String {
        let made = json!({ "Name": name, "SecretString": text });
        let answer = self.call("secretsmanager", "create_secret", made).await;
        answer["ARN"].as_str().unwrap().to_owned()
    }

    /// Writes a pending version, the first step of a rotation, and returns its id.
    pub async fn put_pending(&mut self, secret: &str, text: &str) -> String {
        let put = json!({ "SecretId": secret, "SecretString": text, "VersionStages": ["AWSPENDING"] });
        let answer = self.call("secretsmanager", "put_secret_value", put).await;
        answer["VersionId"].as_str().unwrap().to_owned()
    }

    /// Makes a version the current one, the last step of a rotation.
    pub async fn finish(&mut self, secret: &str, version: &str) {
        let described = self.call("secretsmanager", "describe_secret", json!({ "SecretId": secret })).await;
        let stages = described["VersionIdsToStages"].as_object().unwrap();
        let is_current = |stages: &Value| stages.as_array().unwrap().contains(&json!("AWSCURRENT"));
        let (current, _) = stages.iter().find(|(_, stages)| is_current(stages)).unwrap();
        let moved = json!({ "SecretId": secret, "VersionStage": "AWSCURRENT",
            "MoveToVersionId": version, "RemoveFromVersionId": current });
        self.call("secretsmanager", "update_secret_version_stage", moved).await;
    }

    /// Rotates the secret to this text, as AWS's rotation functions do.
    pub async fn rotate(&mut self, secret: &str, text: &str) {
        let version = self.put_pending(secret, text).await;
        self.finish(secret, &version).await;
    }
}
