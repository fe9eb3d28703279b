//! The routes: who is admitted, what each path answers, and the headers of every answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use wire::BroadcastId;

use super::answer::{Answer, asset, html, see_other};
use super::query::Filter;
use super::server::Weight;
use super::state::{Page, Shared, fields, form, snapshot};
use super::view::{self, forms, list};
use super::{actions, download, live};
use crate::args::Format;

/// Only files of this page, and no script or style inside a page. Filters and the login are forms of this page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

pub(super) fn router(page: Page) -> Router {
    let page = Arc::new(page);
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
        router = router.route("/cancel", get(actions::ask_cancel).post(actions::cancel));
        router = router.route("/continue", get(actions::ask_go_on).post(actions::go_on));
    }
    if page.redriver.is_some() {
        router = router.route("/redrive", get(actions::ask_redrive).post(actions::redrive));
    }
    let guard = from_fn_with_state(Arc::clone(&page), guard);
    router.fallback(|| async { Answer::NotFound("There is no such page.") }).layer(guard).with_state(page)
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
    let view = view::View { snapshot: &snapshot, filter: &filter, number, has_actions, has_redrive };
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
