//! Reads the value of a secret of Secrets Manager, and of a parameter of Systems Manager.
//!
//! Both services have the same protocol, a request needs a dozen lines, and the SDK's client of Systems Manager is one of
//! its largest: so neither client is used (`super::operation`).

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::error::metadata::ErrorMetadata;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::endpoint::{Rules, Service};
use super::operation::{Protocol, operation};
use crate::aws::calls::Calls;
use crate::aws::error::read_json;
use crate::aws::{AwsError, AwsErrorKind, AwsService, CallError};
use crate::base::words;

const SECRETS_MANAGER: Service =
    Service { id: "Secrets Manager", host: "secretsmanager", rules: Rules::AlwaysDualStack };
pub(super) const SSM: Service = Service { id: "SSM", host: "ssm", rules: Rules::PlainInGovCloud };

words! {
    /// A version of a secret, by its stage in Secrets Manager, which moves both when the secret is rotated.
    pub enum Version {
        /// The current version.
        Current = "AWSCURRENT",
        /// The previous version.
        Previous = "AWSPREVIOUS",
    }
}

/// The operations.
const GET_SECRET: &str = "GetSecretValue";
const GET_PARAMETER: &str = "GetParameter";

/// Secrets Manager and Systems Manager, asked for values only. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Secrets {
    secret: Operation<String, Answer, ErrorMetadata>,
    parameter: Operation<String, Answer, ErrorMetadata>,
}

impl Secrets {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: &Calls) -> Self {
        const TYPE: (&str, &str) = ("content-type", "application/x-amz-json-1.1");
        let protocol = |name, headers| Protocol { name, headers, read: answer, read_error: read_json };
        let secret = protocol(GET_SECRET, &[TYPE, ("x-amz-target", "secretsmanager.GetSecretValue")]);
        let parameter = protocol(GET_PARAMETER, &[TYPE, ("x-amz-target", "AmazonSSM.GetParameter")]);
        Self {
            secret: operation(SECRETS_MANAGER, &secret, config, calls.clone(), None),
            parameter: operation(SSM, &parameter, config, calls.clone(), None),
        }
    }

    /// The text of a secret of Secrets Manager, by name or ARN; `None` if it does not have this version.
    pub async fn secret(&self, id: &str, version: Version) -> Result<Option<SecretString>, CallError> {
        let question = json!({ "SecretId": id, "VersionStage": version.as_str() }).to_string();
        match self.secret.invoke(question).await {
            Ok(answer) => {
                let missing = CallError::Answer("Secrets Manager has no text value there");
                answer.secret.map(Some).ok_or(missing)
            }
            Err(error) => match AwsError::of(AwsService::SecretsManager, GET_SECRET, &error) {
                // The same code is used for a missing secret: then there is no current version either.
                error if version == Version::Previous && error.kind == AwsErrorKind::NotFound => Ok(None),
                error => Err(error.into()),
            },
        }
    }

    /// The text of a parameter of Systems Manager, decrypted, by name or ARN.
    pub async fn parameter(&self, name: &str) -> Result<SecretString, CallError> {
        let question = json!({ "Name": name, "WithDecryption": true }).to_string();
        let answer = self.parameter.invoke(question).await;
        let answer = answer.map_err(|error| AwsError::of(AwsService::Ssm, GET_PARAMETER, &error))?;
        let value = answer.parameter.and_then(|parameter| parameter.value);
        value.ok_or(CallError::Answer("SSM has no text value there"))
    }
}

/// Either answer, with its value only.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default, rename = "SecretString")]
    secret: Option<SecretString>,
    #[serde(default, rename = "Parameter")]
    parameter: Option<Parameter>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    #[serde(default, rename = "Value")]
    value: Option<SecretString>,
}

fn answer(body: &[u8]) -> Result<Answer, BoxError> {
    // The error of the JSON parser may repeat a part of the value.
    serde_json::from_slice(body).map_err(|_| "the answer cannot be read".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_does_not_show_its_value() {
        let answer: Answer =
            serde_json::from_str(r#"{"SecretString":"whsec_x","Parameter":{"Value":"hunter2"}}"#).unwrap();
        let shown = format!("{answer:?}");
        assert!(!shown.contains("whsec_x") && !shown.contains("hunter2"), "{shown}");
    }
}
