//! Reads the value of a secret of Secrets Manager, and of a parameter of Systems Manager.
//!
//! Both services have the same protocol, a request needs a dozen lines, and the SDK's client of Systems Manager is one of
//! its largest: so neither client is used (`super::operation`).

use std::fmt;

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::ErrorMetadata;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::endpoint::{Rules, Service};
use super::operation;
use crate::aws::calls::Calls;
use crate::aws::error::read_json;
use crate::aws::{AwsError, AwsErrorKind, AwsService};

const SECRETS_MANAGER: Service =
    Service { id: "Secrets Manager", host: "secretsmanager", rules: Rules::AlwaysDualStack };
const SSM: Service = Service { id: "SSM", host: "ssm", rules: Rules::PlainInGovCloud };

/// A version of a secret. Secrets Manager moves both stages when the secret is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The current version.
    Current,
    /// The previous version.
    Previous,
}

impl Version {
    /// Its stage in Secrets Manager.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// Why a value could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// The call failed.
    #[error("{}", .0.summary())]
    Call(#[source] AwsError),
    /// The value is not text.
    #[error("{0} has no text value there")]
    NotText(AwsService),
}

/// The operations.
const GET_SECRET: &str = "GetSecretValue";
const GET_PARAMETER: &str = "GetParameter";

/// A client of Secrets Manager and Systems Manager for values only. Clones share the connections.
#[derive(Clone)]
pub struct Secrets {
    secret: Operation<String, Answer, ErrorMetadata>,
    parameter: Operation<String, Answer, ErrorMetadata>,
}

impl Secrets {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: &Calls) -> Self {
        Self {
            secret: ask(SECRETS_MANAGER, GET_SECRET, "secretsmanager.GetSecretValue", config, calls),
            parameter: ask(SSM, GET_PARAMETER, "AmazonSSM.GetParameter", config, calls),
        }
    }

    /// The text of a secret of Secrets Manager, by name or ARN; `None` if it does not have this version.
    ///
    /// # Errors
    ///
    /// If it does not exist, must not be read, or is binary; and if Secrets Manager does not answer.
    pub async fn secret(&self, id: &str, version: Version) -> Result<Option<SecretString>, ValueError> {
        let question = json!({ "SecretId": id, "VersionStage": version.as_str() }).to_string();
        match self.secret.invoke(question).await {
            Ok(answer) => answer.secret.map(Some).ok_or(ValueError::NotText(AwsService::SecretsManager)),
            Err(error) => match AwsError::of(AwsService::SecretsManager, GET_SECRET, &error) {
                // The same code is used for a missing secret: then there is no current version either.
                error if version == Version::Previous && error.kind() == AwsErrorKind::NotFound => Ok(None),
                error => Err(ValueError::Call(error)),
            },
        }
    }

    /// The text of a parameter of Systems Manager, decrypted, by name or ARN.
    ///
    /// # Errors
    ///
    /// If it does not exist, or must not be read or decrypted; and if Systems Manager does not answer.
    pub async fn parameter(&self, name: &str) -> Result<SecretString, ValueError> {
        let question = json!({ "Name": name, "WithDecryption": true }).to_string();
        let answer = self.parameter.invoke(question).await;
        let answer =
            answer.map_err(|error| ValueError::Call(AwsError::of(AwsService::Ssm, GET_PARAMETER, &error)))?;
        answer.parameter.and_then(|parameter| parameter.value).ok_or(ValueError::NotText(AwsService::Ssm))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// Either answer, with its value only.
#[derive(Deserialize)]
struct Answer {
    #[serde(default, rename = "SecretString", deserialize_with = "secret")]
    secret: Option<SecretString>,
    #[serde(default, rename = "Parameter")]
    parameter: Option<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(default, rename = "Value", deserialize_with = "secret")]
    value: Option<SecretString>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

// The output of an operation must be `Debug`.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

fn ask(
    service: Service,
    name: &'static str,
    target: &'static str,
    config: &SdkConfig,
    calls: &Calls,
) -> Operation<String, Answer, ErrorMetadata> {
    let mut layer = Layer::new(name);
    // Without it, the SDK's own log of answers would show the value.
    layer.store_put(SensitiveOutput);
    operation::builder(service, name, config, calls.clone())
        .runtime_plugin(StaticRuntimePlugin::new().with_config(layer.freeze()))
        .serializer(move |question: String| request(target, question))
        .deserializer(answer)
        .build()
}

fn request(target: &'static str, question: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(question));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
    request.headers_mut().insert("x-amz-target", target);
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<Answer, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    if !response.status().is_success() {
        return Err(OrchestratorError::operation(read_json(body)));
    }
    // The error of the JSON parser may repeat a part of the value.
    serde_json::from_slice(body).map_err(|_| OrchestratorError::other("the answer cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_does_not_show_its_value() {
        let answer: Answer =
            serde_json::from_str(r#"{"SecretString":"whsec_x","Parameter":{"Value":"y"}}"#).unwrap();
        assert_eq!(format!("{answer:?}"), "Answer");
    }
}
