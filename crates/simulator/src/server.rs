//! The API server: which service a request is for, what faults it meets, and how its answer is written.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::Instant;

use crate::calls::{CallLog, Outcome, Service};
use crate::clock::Clock;
use crate::error::AwsError;
use crate::faults::{Fate, Faults, Verdict};
use crate::http::{Reply, ReplyBody, full};
use crate::identity::Signer;
use crate::sqs::Sqs;
use crate::sts::{self, Caller, Sts};
use crate::workload::Workload;
use crate::worlds::{Place, Worlds};
use crate::{cloudwatch, ec2, ecs, ssm};

/// Everything that a request can reach.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) worlds: Worlds,
    pub(crate) workload: Workload,
    pub(crate) faults: Faults,
    pub(crate) calls: CallLog,
    pub(crate) sqs: Sqs,
    pub(crate) sts: Sts,
    /// The clock for the `Date` of answers, if not this machine's.
    pub(crate) tells: Option<Clock>,
}

/// A parsed request.
struct Incoming {
    service: Service,
    operation: String,
    parameters: Parameters,
    signer: Signer,
}

enum Parameters {
    Json(Value),
    Form(ec2::Form),
}

/// What is to be run.
#[derive(Clone, Copy)]
struct Asked<'a> {
    service: Service,
    operation: &'a str,
    caller: &'a Caller,
    place: &'a Place,
    id: &'a str,
}

/// What an operation answers.
enum Answer {
    Json(Value),
    Xml(String),
}

impl Core {
    /// Answers one HTTP request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Reply {
        let date = self.tells.as_ref().and_then(http_date);
        let mut reply = self.reply(request).await;
        if let (Reply::Answer(response), Some(date)) = (&mut reply, date) {
            response.headers_mut().insert(DATE, date);
        }
        reply
    }

    async fn reply(self: Arc<Self>, request: Request<Bytes>) -> Reply {
        let bytes = request.body().len();
        let incoming = match Incoming::read(&request) {
            Ok(incoming) => incoming,
            Err(error) => return Reply::Answer(json_error(Service::Ecs, &error, "0")),
        };
        let Incoming { service, operation, parameters, signer } = incoming;
        let caller = self.sts.caller(&signer);
        let account = caller.as_ref().map_or("", |caller| &caller.account);
        let place = &self.worlds.place(account, signer.region.as_deref());
        let (logged, whole) = match &parameters {
            Parameters::Json(value) => (value.clone(), false),
            Parameters::Form(form) => (form.to_json(), form.asks_for_everything()),
        };
        let mut call = self.calls.open(place, service, &operation, logged, bytes);
        let request_id = format!("00000000-0000-4000-8000-{:012x}", call.number());
        let verdict = self.faults.meet_at(&place.to_string(), &operation, whole, Instant::now());
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        let result = match verdict.fate {
            Some(Fate::Reset) => {
                call.end(Outcome::Reset);
                return Reply::Reset;
            }
            Some(Fate::Throttled) => Err(throttled(service)),
            Some(Fate::Failed) => Err(failed(service)),
            Some(Fate::AnswerLost) | None => match &caller {
                Err(refused) => Err(sts::refusal(service, *refused)),
                Ok(caller) => {
                    let (operation, id) = (operation.as_str(), request_id.as_str());
                    let request = Asked { service, operation, caller, place, id };
                    self.run(request, parameters, &verdict).await
                }
            },
        };
        if verdict.fate == Some(Fate::AnswerLost) {
            call.end(Outcome::AnswerLost);
            return Reply::Reset;
        }
        match result {
            Ok(answer) => {
                call.end(Outcome::Answered);
                Reply::Answer(success(service, answer, &request_id))
            }
            Err(error) => {
                call.end(Outcome::Refused { status: error.status, code: error.code.clone() });
                Reply::Answer(refusal(service, &error, &request_id))
            }
        }
    }

    async fn run(
        &self,
        Asked { service, operation, caller, place, id }: Asked<'_>,
        parameters: Parameters,
        verdict: &Verdict,
    ) -> Result<Answer, AwsError> {
        match (service, parameters) {
            (Service::Sqs, Parameters::Json(body)) => {
                self.sqs.call_by(&caller.id, operation, body).await.map(Answer::Json)
            }
            (Service::Sts, Parameters::Form(form)) => {
                self.sts.call(operation, caller, &form, id).map(Answer::Xml)
            }
            (Service::Ssm, Parameters::Json(body)) => {
                self.worlds.read(place, |world| ssm::call(world, operation, &body)).map(Answer::Json)
            }
            (Service::CloudWatch, Parameters::Json(body)) => {
                self.worlds.read(place, |world| cloudwatch::call(world, operation, &body)).map(Answer::Json)
            }
            (_, Parameters::Json(body)) => {
                let answer = self.worlds.read(place, |world| {
                    ecs::call(world, &self.faults, operation, &body, verdict.empty_page)
                })?;
                if operation == "ListTasks" {
                    self.stop_listed(&answer).await;
                }
                Ok(Answer::Json(answer))
            }
            (_, Parameters::Form(form)) => {
                let read = |world: &_| ec2::call(world, &self.faults, operation, &form, id);
                self.worlds.read(place, read).map(Answer::Xml)
            }
        }
    }

    /// Stops the tasks of a list that were to stop once listed.
    async fn stop_listed(&self, answer: &Value) {
        let listed = answer.get("taskArns").and_then(Value::as_array).into_iter().flatten();
        for arn in listed.filter_map(Value::as_str) {
            let stopped = self.worlds.change(arn, |world| {
                let is_due = world.task(arn).is_some_and(|task| task.stop_after_listing);
                if is_due { world.stop(arn).map(|()| true) } else { Ok(false) }
            });
            if let Ok(true) = stopped {
                self.workload.close(arn).await;
            }
        }
    }
}

impl Incoming {
    fn read(request: &Request<Bytes>) -> Result<Self, AwsError> {
        let signer = Signer::of(request.headers());
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let unknown =
            || AwsError::client("UnknownOperationException", "no operation that the simulator knows");
        if let Some(target) = header("x-amz-target") {
            let (prefix, operation) = target.split_once('.').ok_or_else(unknown)?;
            let service = match prefix {
                "AmazonEC2ContainerServiceV20141113" => Service::Ecs,
                "AmazonSQS" => Service::Sqs,
                "AmazonSSM" => Service::Ssm,
                "GraniteServiceVersion20100801" => Service::CloudWatch,
                _ => return Err(unknown()),
            };
            let body = if request.body().is_empty() { b"{}" } else { request.body().as_ref() };
            let parameters = serde_json::from_slice(body)
                .map_err(|error| AwsError::client("SerializationException", error.to_string()))?;
            return Ok(Self {
                service,
                operation: operation.to_owned(),
                parameters: Parameters::Json(parameters),
                signer,
            });
        }
        let form = ec2::Form::read(request.body());
        let operation = form.get("Action").ok_or_else(unknown)?.to_owned();
        let service = if sts::is_meant(&form) { Service::Sts } else { Service::Ec2 };
        Ok(Self { service, operation, parameters: Parameters::Form(form), signer })
    }
}

/// The time in HTTP's form of it.
fn http_date(clock: &Clock) -> Option<HeaderValue> {
    let now = OffsetDateTime::UNIX_EPOCH + clock.now();
    HeaderValue::try_from(now.format(&Rfc2822).ok()?.replace("+0000", "GMT")).ok()
}

fn throttled(service: Service) -> AwsError {
    match service {
        Service::Ecs | Service::Ssm => AwsError::client("ThrottlingException", "Rate exceeded"),
        Service::Sts | Service::CloudWatch => AwsError::client("Throttling", "Rate exceeded"),
        Service::Ec2 => AwsError::client("RequestLimitExceeded", "Request limit exceeded.").with_status(503),
        Service::Sqs => {
            let error = AwsError::client("RequestThrottled", "Rate exceeded");
            error.with_status(403).with_query_code("RequestThrottled")
        }
    }
}

fn failed(service: Service) -> AwsError {
    match service {
        Service::Ecs => AwsError::server("ServerException", "Service Unavailable. Please try again later."),
        Service::Ec2 => AwsError::server("InternalError", "An internal error has occurred"),
        Service::Ssm => AwsError::server("InternalServerError", "An error occurred on the server side."),
        Service::Sqs | Service::Sts | Service::CloudWatch => AwsError::server(
            "InternalFailure",
            "The request processing has failed because of an unknown error.",
        ),
    }
}

fn success(service: Service, answer: Answer, request_id: &str) -> Response<ReplyBody> {
    match answer {
        Answer::Json(value) => response(StatusCode::OK, json_type(service), value.to_string(), request_id),
        Answer::Xml(text) => response(StatusCode::OK, XML_TYPE, text, request_id),
    }
}

fn refusal(service: Service, error: &AwsError, request_id: &str) -> Response<ReplyBody> {
    match service {
        Service::Ec2 => response(status(error), XML_TYPE, ec2::error(error, request_id), request_id),
        Service::Sts => response(status(error), XML_TYPE, sts::error(error, request_id), request_id),
        Service::Ecs | Service::Sqs | Service::Ssm | Service::CloudWatch => {
            json_error(service, error, request_id)
        }
    }
}

/// An error of the JSON protocols. SQS sends the query protocol's code beside it, for clients that go by that.
fn json_error(service: Service, error: &AwsError, request_id: &str) -> Response<ReplyBody> {
    let kind = match service {
        Service::Sqs => format!("com.amazonaws.sqs#{}", error.code),
        Service::Ecs | Service::Ec2 | Service::Sts | Service::Ssm | Service::CloudWatch => error.code.clone(),
    };
    let body = json!({ "__type": kind, "message": error.message }).to_string();
    let mut response = response(status(error), json_type(service), body, request_id);
    let query = error.query_code.as_ref().map(|code| {
        let fault = if error.is_senders() { "Sender" } else { "Receiver" };
        ("x-amzn-query-error", format!("{code};{fault}"))
    });
    let kind = (service == Service::Ecs).then(|| ("x-amzn-errortype", error.code.clone()));
    for (name, value) in query.into_iter().chain(kind) {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

const XML_TYPE: &str = "text/xml;charset=UTF-8";

fn json_type(service: Service) -> &'static str {
    match service {
        Service::Sqs | Service::CloudWatch => "application/x-amz-json-1.0",
        Service::Ecs | Service::Ec2 | Service::Sts | Service::Ssm => "application/x-amz-json-1.1",
    }
}

fn status(error: &AwsError) -> StatusCode {
    StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn response(status: StatusCode, kind: &'static str, body: String, request_id: &str) -> Response<ReplyBody> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}
