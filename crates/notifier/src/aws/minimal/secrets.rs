//! The two questions about secrets: the value of a secret of Secrets Manager, and of a parameter of Systems Manager.
//!
//! Both services speak the same protocol, one request of it is a dozen lines, and the SDK's client of Systems Manager
//! is one of its largest: so neither client is there (`super::operation`).

use std::fmt;

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::endpoint::{Rules, Service};
use super::operation;
use crate::aws::calls::Calls;
use crate::aws::error::{Fault, Unanswered};

const SECRETS_MANAGER: Service =
    Service { id: "Secrets Manager", host: "secretsmanager", rules: Rules::AlwaysDualStack };
const SSM: Service = Service { id: "SSM", host: "ssm", rules: Rules::PlainInGovCloud };

/// Which version of a secret. Secrets Manager moves both names when the secret is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The newest that is in use.
    Current,
    /// The one before that.
    Previous,
}

impl Version {
    /// Its name at Secrets Manager.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// Why AWS did not hand out a value.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It understood the question and said no.
    #[error("{service} refused it: {code}: {message}")]
    Refused {
        /// The service.
        service: &'static str,
        /// AWS's code for the error.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// It could not be reached, or failed, or throttled until the tries were used up.
    #[error("{0} did not answer")]
    Unavailable(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds something, and that is no text.
    #[error("{0} holds no text there")]
    NotText(&'static str),
}

/// Secrets Manager and Systems Manager, asked for values only. Clones share the connections.
#[derive(Clone)]
pub struct Secrets {
    secret: Operation<String, Answer, Fault>,
    parameter: Operation<String, Answer, Fault>,
}

impl Secrets {
    pub(in crate::aws) fn new(config: &SdkConfig, calls: &Calls) -> Self {
        Self {
            secret: ask(SECRETS_MANAGER, "GetSecretValue", "secretsmanager.GetSecretValue", config, calls),
            parameter: ask(SSM, "GetParameter", "AmazonSSM.GetParameter", config, calls),
        }
    }

    /// The text of a secret of Secrets Manager, by name or ARN; `None` when it has no such version.
    ///
    /// # Errors
    ///
    /// When it is not there, may not be read, or is binary; and when Secrets Manager cannot be asked.
    pub async fn secret(&self, id: &str, version: Version) -> Result<Option<SecretString>, AskError> {
        let question = json!({ "SecretId": id, "VersionStage": version.as_str() }).to_string();
        match self.secret.invoke(question).await {
            Ok(answer) => answer.secret.map(Some).ok_or(AskError::NotText(SECRETS_MANAGER.id)),
            Err(error) => match wrong(SECRETS_MANAGER.id, error) {
                // The same code says that there is no secret: then there is no current version either.
                AskError::Refused { code, .. }
                    if version == Version::Previous && code == "ResourceNotFoundException" =>
                {
                    Ok(None)
                }
                error => Err(error),
            },
        }
    }

    /// The text of a parameter of Systems Manager, decrypted, by name or ARN.
    ///
    /// # Errors
    ///
    /// When it is not there, or may not be read or decrypted; and when Systems Manager cannot be asked.
    pub async fn parameter(&self, name: &str) -> Result<SecretString, AskError> {
        let question = json!({ "Name": name, "WithDecryption": true }).to_string();
        let answer = self.parameter.invoke(question).await.map_err(|error| wrong(SSM.id, error))?;
        answer.parameter.and_then(|parameter| parameter.value).ok_or(AskError::NotText(SSM.id))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// Either answer: of each, the one field that counts.
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

// What an operation hands out must be `Debug`.
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
) -> Operation<String, Answer, Fault> {
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

fn answer(response: &HttpResponse) -> Result<Answer, OrchestratorError<Fault>> {
    let body = response.body().bytes().unwrap_or_default();
    if !response.status().is_success() {
        return Err(OrchestratorError::operation(fault(response.status().as_u16(), body)));
    }
    // The error of the JSON reader may repeat what it read, and that may be the value.
    serde_json::from_slice(body).map_err(|_| OrchestratorError::other("the answer cannot be read"))
}

/// `{"__type": "namespace#Code", "message": "…"}`. Source: AWS JSON 1.1 protocol, "Operation error serialization".
fn fault(status: u16, body: &[u8]) -> Fault {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "__type")]
        kind: String,
        #[serde(default, alias = "Message")]
        message: String,
    }
    let document = serde_json::from_slice::<Document>(body).ok();
    Fault::new(
        status,
        document.map(|Document { kind, message }| {
            let code = kind.rsplit('#').next().unwrap_or_default();
            (code.split(':').next().unwrap_or_default().to_owned(), message)
        }),
    )
}

fn wrong(service: &'static str, error: SdkError<Fault, HttpResponse>) -> AskError {
    match error {
        SdkError::ServiceError(error) => {
            let fault = error.into_err();
            match fault.refusal() {
                Some((code, message)) => {
                    AskError::Refused { service, code: code.to_owned(), message: message.to_owned() }
                }
                None => AskError::Unavailable(service, Box::new(fault)),
            }
        }
        // The raw answer, which an error of the SDK may hold, is left behind.
        error => AskError::Unavailable(service, Box::new(Unanswered::of(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_error_has_its_code() {
        for (body, says) in [
            (
                r#"{"__type":"ResourceNotFoundException","Message":"no"}"#,
                "ResourceNotFoundException: no (status 400)",
            ),
            (
                r#"{"__type":"com.amazonaws.secretsmanager#InvalidRequestException","message":"no"}"#,
                "InvalidRequestException: no (status 400)",
            ),
            (r#"{"__type":"AccessDeniedException:http://x/"}"#, "AccessDeniedException:  (status 400)"),
            ("<html>", "status 400 without an error code"),
        ] {
            assert_eq!(fault(400, body.as_bytes()).to_string(), says);
        }
    }

    #[test]
    fn an_answer_does_not_show_its_value() {
        let answer: Answer =
            serde_json::from_str(r#"{"SecretString":"whsec_x","Parameter":{"Value":"y"}}"#).unwrap();
        assert_eq!(format!("{answer:?}"), "Answer");
    }
}
