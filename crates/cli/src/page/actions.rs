//! Actions: cancel a broadcast, end its pause, send its dead letters back. Each asks for the id of the broadcast first.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderValue, REFERRER_POLICY, REFRESH};
use notifier::base::text;

use super::answer::{Answer, html, see_other};
use super::feed::Snapshot;
use super::query::Filter;
use super::redrive::Running;
use super::state::{Page, Shared, fields, form, snapshot};
use super::view::forms;

/// The most characters of a reason.
const REASON_CHARS_MAX: usize = 500;

pub(super) async fn ask_cancel(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    Ok(question(StatusCode::OK, forms::cancel(&snapshot, None)))
}

/// A form with an action. With `no-referrer`, browsers would send it with the origin `null`.
fn question(status: StatusCode, form: String) -> Response {
    let mut response = html(status, form);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

pub(super) async fn cancel(
    State(page): Shared,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Answer> {
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

pub(super) async fn ask_go_on(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    let wave = pause(&snapshot)?;
    Ok(question(StatusCode::OK, forms::go_on(&snapshot, wave, None)))
}

/// The wave whose pause can be ended.
fn pause(snapshot: &Snapshot) -> Result<u16, Answer> {
    let none = |why| Answer::Conflict(format!("The broadcast {why}, so there is no pause to end."));
    snapshot.open_pause.map_err(none)
}

pub(super) async fn go_on(
    State(page): Shared,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Answer> {
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

/// The question before a redrive, and the result of the latest one.
pub(super) async fn ask_redrive(State(page): Shared, RawQuery(query): RawQuery) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    Ok(redrive_question(StatusCode::OK, &page, &snapshot, None))
}

fn redrive_question(status: StatusCode, page: &Page, snapshot: &Snapshot, wrong: Option<&str>) -> Response {
    let latest = page.redriver.as_ref().and_then(|it| it.of(snapshot.recorded.report.broadcast()));
    let mut response = question(status, forms::redrive(snapshot, wrong, latest.as_ref()));
    if latest.is_some_and(|run| run.result.is_none()) {
        // The browser loads it again until it has ended.
        response.headers_mut().insert(REFRESH, HeaderValue::from_static("2"));
    }
    response
}

/// Begins a redrive, if the id of the broadcast was typed.
pub(super) async fn redrive(
    State(page): Shared,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Answer> {
    let snapshot = snapshot(&page, &fields(query)).await?;
    let id = snapshot.recorded.report.broadcast();
    if form(body).await?.get("confirm").trim() != id.as_str() {
        let wrong = "This is not the id of the broadcast, so nothing was sent back.";
        return Ok(redrive_question(StatusCode::BAD_REQUEST, &page, &snapshot, Some(wrong)));
    }
    let redriver = page.redriver.as_ref().ok_or(Answer::NotFound("There is no such page."))?;
    let busy = |_: Running| Answer::Busy("A redrive runs already. Try again when it has ended.");
    redriver.start(id, Arc::clone(&page.feed)).map_err(busy)?;
    Ok(see_other(&Filter::default().link("redrive", id, 1)))
}
