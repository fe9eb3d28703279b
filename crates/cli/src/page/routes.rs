//! The routes: who is admitted, what each path answers, and the headers of every answer.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    REFERRER_POLICY, REFRESH, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use notifier::base::text;
use notifier::ledger::LedgerError;
use tokio::sync::Semaphore;
use wire::BroadcastId;

use super::access::{Access, Refusal};
use super::feed::{Feed, Snapshot};
use super::query::{Fields, Filter};
use super::redrive::Redriver;
use super::server::Weight;
use super::view::{self, forms, list};
use super::{download, live, redrive};
use crate::args::Format;

/// The most bytes of a form.
const FORM_BYTES_MAX: usize = 4 * 1024;
/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 500;
/// Downloads at once.
const DOWNLOADS_MAX: usize = 4;
/// Open streams of live updates.
const STREAMS_MAX: usize = 16;
/// Only files of this page, and no script or style inside a page. Filters and the login are forms of this page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What every request shares.
pub(super) struct Page {
    pub(super) feed: Arc<Feed>,
    access: Access,
    allow_actions: bool,
    /// `None` without actions, or without queues.
    pub(super) redriver: Option<Arc<Redriver>>,
    downloads: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
}

type Shared = State<Arc<Page>>;

impl Page {
    pub(super) fn new(
        feed: Arc<Feed>,
        access: Access,
        allow_actions: bool,
        redriver: Option<Arc<Redriver>>,
    ) -> Self {
        let redriver = redriver.filter(|_| allow_actions);
        let downloads = Arc::new(Semaphore::new(DOWNLOADS_MAX));
        Self {
            feed,
            access,
            allow_actions,
            redriver,
            downloads,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }

    pub(super) fn routes(self) -> Router {
        let page = Arc::new(self);
        let mut router = Router::new()
            .route("/", get(all))
            .route("/broadcast", get(broadcast))
            .route("/broadcast.csv", get(csv))
            .route("/broadcast.json", get(json))
            .route("/stream", get(live::stream))
            .route("/task", get(task))
            .route("/login", post(log_in))
            .route("/page.css", get(|| async { asset("text/css; charset=utf-8", view::CSS) }))
            .route("/page.js", get(|| async { asset("text/javascript; charset=utf-8", view::JS) }))
            .route("/healthz", get(|| async { asset("text/plain; charset=utf-8", "ok\n") }));
        if page.allow_actions {
            router = router.route("/cancel", get(ask_cancel).post(cancel));
            router = router.route("/continue", get(ask_go_on).post(go_on));
        }
        if page.redriver.is_some() {
            router = router.route("/redrive", get(redrive::ask).post(redrive::begin));
        }
        let guard = from_fn_with_state(Arc::clone(&page), guard);
        router.fallback(|| async { Answer::NotFound("There is no such page.") }).layer(guard).with_state(page)
    }
}

/// Admits a request or refuses it, and completes the headers of the answer.
async fn guard(State(page): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // A load balancer's health check has an address as its host, and no token. The answer has no data.
    let is_check = path == "/healthz";
    let is_open = matches!(path, "/page.css" | "/page.js" | "/login");
    let origin = page.access.origin(request.method(), request.uri(), request.headers());
    let admitted = match origin {
        _ if is_check => Ok(()),
        Ok(()) if is_open => Ok(()),
        Ok(()) => page.access.session(request.headers()),
        refused => refused,
    };
    let mut response = match admitted {
        Ok(()) => {
            if let (Some(weight), false) = (request.extensions().get::<Weight>(), is_check || is_open) {
                weight.authorise();
            }
            next.run(request).await
        }
        Err(refusal) => Answer::Refused(refusal).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (CACHE_CONTROL, "no-store"),
        (RESOURCE_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    response
}

/// An answer without data of a broadcast.
pub(super) enum Answer {
    NotFound(&'static str),
    Bad(String),
    /// The broadcast is not in a state for it.
    Conflict(String),
    Refused(Refusal),
    /// Too many of something at once.
    Busy(&'static str),
    Ledger(LedgerError),
}

impl From<LedgerError> for Answer {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Refused(Refusal::Token) => return html(StatusCode::UNAUTHORIZED, forms::log_in(false)),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "Not found", text.to_owned()),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, "Bad request", text),
            Self::Conflict(text) => (StatusCode::CONFLICT, "Not possible", text),
            Self::Refused(Refusal::Host) => {
                let text = "This is not a host name of the page. --allowed-host NAME allows one.";
                (StatusCode::MISDIRECTED_REQUEST, "Unknown host", text.to_owned())
            }
            Self::Refused(Refusal::CrossSite) => {
                (StatusCode::FORBIDDEN, "Refused", "Another site caused this request.".to_owned())
            }
            Self::Busy(text) => {
                let page = forms::message("Busy", text);
                return ([(RETRY_AFTER, "5")], html(StatusCode::SERVICE_UNAVAILABLE, page)).into_response();
            }
            Self::Ledger(error) => {
                let text = text::chain(&error);
                tracing::warn!(error = %text, "The ledger cannot be read");
                let page = html(StatusCode::BAD_GATEWAY, forms::message("The ledger cannot be read", &text));
                // The browser tries again by itself.
                let seconds = if error.is_final() { "60" } else { "5" };
                return ([(REFRESH, seconds)], page).into_response();
            }
        };
        html(status, forms::message(title, &text))
    }
}

pub(super) fn html(status: StatusCode, page: String) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

pub(super) fn see_other(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

async fn all(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let number = fields(query).page();
    let all = page.feed.recent().await?;
    let shown: Vec<_> =
        all.iter().skip((number - 1).saturating_mul(list::LISTED)).take(list::LISTED).cloned().collect();
    let ids: Vec<BroadcastId> = shown.iter().map(|record| record.id.clone()).collect();
    let briefs = page.feed.briefs(&ids).await;
    Ok(html(StatusCode::OK, list::list(&all, &shown, &briefs, number)))
}

async fn broadcast(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let fields = fields(query);
    let filter = Filter::parse(&fields).map_err(Answer::Bad)?;
    let snapshot = snapshot(&page, &fields).await?;
    let (number, has_actions) = (fields.page(), page.allow_actions);
    let has_redrive = page.redriver.is_some();
    let view =
        view::broadcast::View { snapshot: &snapshot, filter: &filter, number, has_actions, has_redrive };
    Ok(html(StatusCode::OK, view::broadcast::broadcast(&view)))
}

async fn task(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let fields = fields(query);
    let snapshot = snapshot(&page, &fields).await?;
    let (task, container) = (fields.get("task"), fields.get("container"));
    let mut entries = snapshot.recorded.report.entries().iter();
    let entry = entries.find(|entry| entry.member.task == task && entry.member.container == container);
    let entry = entry.ok_or(Answer::NotFound("The broadcast has no such container."))?;
    let steps = page.feed.steps(snapshot.recorded.report.broadcast(), &entry.member).await?;
    Ok(html(StatusCode::OK, view::task::task(&snapshot, entry, &steps)))
}

async fn csv(page: Shared, query: RawQuery, weight: Extension<Weight>) -> Result<Response, Answer> {
    download(page, query, weight, Format::Csv).await
}

async fn json(page: Shared, query: RawQuery, weight: Extension<Weight>) -> Result<Response, Answer> {
    download(page, query, weight, Format::Json).await
}

async fn download(
    State(page): Shared,
    RawQuery(query): RawQuery,
    Extension(weight): Extension<Weight>,
    format: Format,
) -> Result<Response, Answer> {
    let fields = fields(query);
    let filter = Filter::parse(&fields).map_err(Answer::Bad)?;
    let permit = Arc::clone(&page.downloads).try_acquire_owned();
    let permit =
        permit.map_err(|_full| Answer::Busy("Too many downloads at once. Try again in a few seconds."))?;
    let snapshot = snapshot(&page, &fields).await?;
    weight.prolong();
    let (kind, file) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"broadcast.csv\""),
        _ => ("application/x-ndjson; charset=utf-8", "attachment; filename=\"broadcast.jsonl\""),
    };
    let body = download::body(snapshot, filter, format, permit);
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, file)], body).into_response())
}

async fn log_in(State(page): Shared, headers: HeaderMap, body: Body) -> Result<Response, Answer> {
    let form = form(body).await?;
    // It only adds an attribute to the cookie of the one who sent it.
    let is_tls = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let Ok(cookie) = page.access.log_in(form.get("token"), is_tls) else {
        return Ok(html(StatusCode::UNAUTHORIZED, forms::log_in(true)));
    };
    let mut response = see_other("./");
    response.headers_mut().extend(HeaderValue::try_from(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
    Ok(response)
}

async fn ask_cancel(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    Ok(question(StatusCode::OK, forms::cancel(&snapshot, None)))
}

/// A form with an action. With `no-referrer`, browsers would send it with the origin `null`.
fn question(status: StatusCode, form: String) -> Response {
    let mut response = html(status, form);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

async fn cancel(State(page): Shared, RawQuery(query): RawQuery, body: Body) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    let id = snapshot.recorded.report.broadcast();
    let form = form(body).await?;
    if form.get("confirm").trim() != id.as_str() {
        let wrong = "This is not the id of the broadcast, so nothing was cancelled.";
        return Ok(question(StatusCode::BAD_REQUEST, forms::cancel(&snapshot, Some(wrong))));
    }
    let reason = text::printable(form.get("reason").trim(), REASON_CHARS_MAX);
    let is_new = page.feed.cancel(id, reason).await?;
    tracing::info!(broadcast = id.as_str(), is_new, "Cancelled by the page");
    Ok(see_other(&Filter::default().link("broadcast", id, 1)))
}

async fn ask_go_on(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    let wave = pause(&snapshot)?;
    Ok(question(StatusCode::OK, forms::go_on(&snapshot, wave, None)))
}

/// The wave whose pause can be ended.
fn pause(snapshot: &Snapshot) -> Result<u16, Answer> {
    let none = |why| Answer::Conflict(format!("The broadcast {why}, so there is no pause to end."));
    snapshot.recorded.pause().map_err(none)
}

async fn go_on(State(page): Shared, RawQuery(query): RawQuery, body: Body) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    let (id, wave) = (snapshot.recorded.report.broadcast(), pause(&snapshot)?);
    let form = form(body).await?;
    // Whoever decides has seen the outcomes of this wave, and not those of a later one.
    let wrong = if form.get("confirm").trim() != id.as_str() {
        Some("This is not the id of the broadcast, so nothing was continued.")
    } else if form.get("wave") != wave.to_string() {
        Some("Another wave has begun in the meantime, so nothing was continued. Look at it first.")
    } else {
        None
    };
    if wrong.is_some() {
        return Ok(question(StatusCode::BAD_REQUEST, forms::go_on(&snapshot, wave, wrong)));
    }
    let is_new = page.feed.continue_after(id, wave).await?;
    tracing::info!(broadcast = id.as_str(), wave, is_new, "Continued by the page");
    Ok(see_other(&Filter::default().link("broadcast", id, 1)))
}

pub(super) fn fields(query: Option<String>) -> Fields {
    Fields::parse(query.unwrap_or_default().as_bytes())
}

pub(super) async fn form(body: Body) -> Result<Fields, Answer> {
    let bytes = to_bytes(body, FORM_BYTES_MAX).await;
    let bytes = bytes
        .map_err(|_| Answer::Bad(format!("The form is larger than {FORM_BYTES_MAX} bytes, or broke off.")))?;
    Ok(Fields::parse(&bytes))
}

pub(super) async fn snapshot(page: &Page, fields: &Fields) -> Result<Arc<Snapshot>, Answer> {
    let id = fields.broadcast().map_err(Answer::Bad)?;
    let found = page.feed.snapshot(&id).await?;
    found.ok_or(Answer::NotFound("The ledger has no record of this broadcast."))
}
