//! STS: who a caller is, and the sessions of roles that it may assume.
//!
//! Source: AWS Security Token Service API Reference (version 2011-06-15).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::calls::Service;
use crate::ec2::Form;
use crate::ec2::xml::Xml;
use crate::error::AwsError;
use crate::identity::{NOBODY, Signer, unique, user_id};
use crate::lock;

/// The namespace of STS's answers.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// How long a session lasts that names no duration.
const SESSION_USUAL: Duration = Duration::from_hours(1);
/// The shortest and longest session that a caller may ask for, in seconds.
const SESSION_S: std::ops::RangeInclusive<u64> = 900..=43_200;
/// The most sessions that are remembered; each has about 200 bytes.
const SESSIONS_MAX: usize = 100_000;

/// A role that callers may assume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// ARN of the role; its account owns the sessions.
    pub arn: String,
    /// The external id that its trust policy requires.
    pub external_id: Option<String>,
    /// Whether its trust policy refuses every caller.
    pub is_refused: bool,
    /// How long its sessions last, whatever a caller asks for: a few seconds, for a test of their renewal. One hour by
    /// default.
    pub lifetime: Option<Duration>,
}

/// Who a caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    /// What STS calls its `UserId` and SQS its `SenderId`.
    pub(crate) id: String,
}

/// Why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Expired,
    /// The session token is missing or another's.
    Invalid,
}

/// Roles, and the sessions that were made of them.
#[derive(Debug)]
pub(crate) struct Sts {
    /// The account of every access key that no role has.
    account: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    roles: BTreeMap<String, Role>,
    /// By access key.
    sessions: HashMap<String, Session>,
}

#[derive(Clone, Debug)]
struct Session {
    caller: Caller,
    token: String,
    /// By this machine's clock, as its client compares it.
    expires: SystemTime,
}

impl Sts {
    pub(crate) fn new(account: &str, roles: Vec<Role>) -> Self {
        let roles = roles.into_iter().map(|role| (role.arn.clone(), role)).collect();
        let state = State { roles, ..State::default() };
        Self { account: account.to_owned(), state: Mutex::new(state) }
    }

    /// Adds a role, or changes it. Its sessions stay as they are.
    pub(crate) fn set_role(&self, role: Role) {
        lock(&self.state).roles.insert(role.arn.clone(), role);
    }

    /// Who signed a request.
    pub(crate) fn caller(&self, signer: &Signer) -> Result<Caller, Refused> {
        let Some(session) = lock(&self.state).sessions.get(&signer.access_key).cloned() else {
            let key = signer.access_key.as_str();
            let id = if key.is_empty() { NOBODY.to_owned() } else { user_id(key) };
            let arn = format!("arn:aws:iam::{}:user/{id}", self.account);
            return Ok(Caller { account: self.account.clone(), arn, id });
        };
        if signer.token.as_ref() != Some(&session.token) {
            return Err(Refused::Invalid);
        }
        if machine_time() >= session.expires { Err(Refused::Expired) } else { Ok(session.caller) }
    }

    /// Carries out one operation and returns its XML.
    pub(crate) fn call(
        &self,
        operation: &str,
        caller: &Caller,
        form: &Form,
        request_id: &str,
    ) -> Result<String, AwsError> {
        match operation {
            "GetCallerIdentity" => Ok(answer(operation, request_id, |xml| {
                xml.leaf("Arn", &caller.arn);
                xml.leaf("UserId", &caller.id);
                xml.leaf("Account", &caller.account);
            })),
            "AssumeRole" => self.assume_role(caller, form, request_id),
            _ => {
                let message = format!("STS is simulated without the operation {operation}");
                Err(AwsError::client("InvalidAction", message))
            }
        }
    }

    fn assume_role(&self, caller: &Caller, form: &Form, request_id: &str) -> Result<String, AwsError> {
        let (arn, name) =
            (required(form, "RoleArn", "roleArn")?, required(form, "RoleSessionName", "roleSessionName")?);
        if !is_session_name(name) {
            return Err(invalid(&format!(
                "Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: [\\w+=,.@-]*"
            )));
        }
        let asked = form.get("DurationSeconds").map(|text| {
            seconds(text).ok_or_else(|| {
                invalid(&format!("Value '{text}' at 'durationSeconds' failed to satisfy constraint"))
            })
        });
        let asked = asked.transpose()?.unwrap_or(SESSION_USUAL);
        let mut state = lock(&self.state);
        // AWS does not say which of these it was.
        let role = state.roles.get(arn).filter(|role| {
            !role.is_refused
                && (role.external_id.is_none() || role.external_id.as_deref() == form.get("ExternalId"))
        });
        let role = role.cloned().ok_or_else(|| {
            let message = format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                caller.arn
            );
            AwsError::client("AccessDenied", message).with_status(403)
        })?;
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        let number = state.sessions.len();
        if number >= SESSIONS_MAX {
            return Err(AwsError::server("InternalFailure", "the simulator has too many sessions"));
        }
        let role_name = arn.rsplit('/').next().unwrap_or_default();
        let id = format!("AROA{}:{name}", unique(arn));
        let session = Session {
            caller: Caller {
                arn: format!("arn:aws:sts::{account}:assumed-role/{role_name}/{name}"),
                account,
                id,
            },
            token: format!("token/{}/{number}", unique(arn)),
            expires: machine_time() + role.lifetime.unwrap_or(asked),
        };
        let key = format!("ASIA{}", unique(&format!("{arn} {number}")).chars().take(16).collect::<String>());
        state.sessions.insert(key.clone(), session.clone());
        Ok(session_xml(&key, &session, request_id))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "clients compare an expiry with the machine's clock, not the simulator's"
)]
fn machine_time() -> SystemTime {
    SystemTime::now()
}

/// The answer to `AssumeRole`.
fn session_xml(key: &str, session: &Session, request_id: &str) -> String {
    let expires = OffsetDateTime::from(session.expires).format(&Rfc3339).unwrap_or_default();
    answer("AssumeRole", request_id, |xml| {
        xml.element("AssumedRoleUser", |xml| {
            xml.leaf("AssumedRoleId", &session.caller.id);
            xml.leaf("Arn", &session.caller.arn);
        });
        xml.element("Credentials", |xml| {
            xml.leaf("AccessKeyId", key);
            xml.leaf("SecretAccessKey", unique(key));
            xml.leaf("SessionToken", &session.token);
            xml.leaf("Expiration", expires);
        });
    })
}

fn answer(operation: &str, request_id: &str, inside: impl FnOnce(&mut Xml)) -> String {
    Xml::document(&format!("{operation}Response xmlns=\"{NAMESPACE}\""), |xml| {
        xml.element(&format!("{operation}Result"), inside);
        xml.element("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
    })
}

fn required<'a>(form: &'a Form, name: &str, member: &str) -> Result<&'a str, AwsError> {
    form.get(name).ok_or_else(|| {
        invalid(&format!("Value null at '{member}' failed to satisfy constraint: Member must not be null"))
    })
}

fn invalid(what: &str) -> AwsError {
    AwsError::client("ValidationError", format!("1 validation error detected: {what}"))
}

fn is_session_name(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (2..=64).contains(&name.len()) && name.bytes().all(is_part)
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|seconds| SESSION_S.contains(seconds)).map(Duration::from_secs)
}

/// The error of each service for refused credentials.
///
/// Sources: the API references of the services, "Common Errors"; Amazon EC2 Developer Guide, "Error codes".
pub(crate) fn refusal(service: Service, refused: Refused) -> AwsError {
    let (code, message, status) = match (service, refused) {
        (Service::Ec2, Refused::Expired) => ("RequestExpired", "Request has expired.", 400),
        (Service::Ec2, Refused::Invalid) => {
            ("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
        }
        (Service::Sts, Refused::Expired) => {
            ("ExpiredToken", "The security token included in the request is expired", 403)
        }
        (Service::Sts, Refused::Invalid) => {
            ("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        }
        (Service::Ecs | Service::Sqs | Service::Ssm | Service::CloudWatch, Refused::Expired) => {
            ("ExpiredTokenException", "The security token included in the request is expired", 400)
        }
        (Service::Ecs | Service::Sqs | Service::Ssm | Service::CloudWatch, Refused::Invalid) => {
            ("UnrecognizedClientException", "The security token included in the request is invalid.", 400)
        }
    };
    AwsError::client(code, message).with_status(status)
}

/// Whether a form is a request to STS: the query protocol names no service, only a version of its API.
pub(crate) fn is_meant(form: &Form) -> bool {
    form.get("Version") == Some("2011-06-15")
}

/// An error as STS writes it.
pub(crate) fn error(error: &AwsError, request_id: &str) -> String {
    Xml::document(&format!("ErrorResponse xmlns=\"{NAMESPACE}\""), |xml| {
        xml.element("Error", |xml| {
            xml.leaf("Type", if error.is_senders() { "Sender" } else { "Receiver" });
            xml.leaf("Code", &error.code);
            xml.leaf("Message", &error.message);
        });
        xml.leaf("RequestId", request_id);
    })
}
