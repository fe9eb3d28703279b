//! A complete service that accepts the events of ecs-task-notifier. It keeps prices in a cache, and drops the prices
//! of the articles in an event. It answers questions with its version and the size of the cache.
//!
//! | variable | content |
//! | --- | --- |
//! | `NOTIFIER_VERIFYING_KEYS` | one or more keys, `whsec_…` or `whpk_…`, separated by white space |
//! | `ECS_CONTAINER_METADATA_URI_V4` | set by ECS; without it, events for any task are accepted |
//! | `LISTEN` | address and port to listen on; default `127.0.0.1:8080` |

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use ecs_task_notifier_receiver::{Identity, IdentityError, Notification, Receiver, VerifyingKeys};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// By default ECS kills a container 30 seconds after SIGTERM; the task definition can change this.
const GRACE: Duration = Duration::from_secs(20);

type Prices = Arc<RwLock<HashMap<String, u32>>>;

/// Data of the events of type `com.example.prices.changed`.
#[derive(serde::Deserialize)]
struct Changed {
    articles: Vec<String>,
}

/// The answer to a question.
#[derive(serde::Serialize)]
struct Status {
    version: &'static str,
    prices: usize,
}

/// The Notify API. After an error, the notifier's next attempt calls this function again.
async fn changed(
    State(prices): State<Prices>,
    notification: Notification,
) -> Result<String, (StatusCode, String)> {
    let event = notification.event();
    if notification.is_question() {
        let prices = prices.read().map_or(0, |prices| prices.len());
        let status = Status { version: env!("CARGO_PKG_VERSION"), prices };
        return serde_json::to_string(&status)
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()));
    }
    // With it, the lines of every service that took part in the broadcast are found together.
    let trace_id = notification.traceparent().and_then(|parent| parent.split('-').nth(1));
    info!(event.id = event.id().as_str(), trace_id, "Received {}", event.kind());
    if event.kind() != "com.example.prices.changed" {
        return Ok(String::new());
    }
    let wrong = |error: serde_json::Error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    let changed: Changed = notification.data().map_err(wrong)?;
    if let Ok(mut prices) = prices.write() {
        for article in changed.articles {
            prices.remove(&article);
        }
    }
    Ok(String::new())
}

/// The service's own API: returns the price of an article.
async fn price(State(prices): State<Prices>, Path(article): Path<String>) -> String {
    let cached = prices.read().ok().and_then(|prices| prices.get(&article).copied());
    let price = cached.unwrap_or_else(|| 100 + u32::try_from(article.len()).unwrap_or_default());
    if let Ok(mut prices) = prices.write() {
        prices.insert(article, price);
    }
    format!("{price}\n")
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "the only place in this service that reads its environment")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let keys: VerifyingKeys = std::env::var("NOTIFIER_VERIFYING_KEYS")?.parse()?;
    let identity = match Identity::on_ecs().await {
        Err(IdentityError::NotOnEcs) => {
            warn!("Not on ECS: events for any task are accepted");
            Identity::unchecked()
        }
        identity => identity?,
    };
    let receiver = Receiver::builder(keys, identity).build();
    let app = Router::new()
        .route("/v1.0/notify", post(changed).layer(receiver.clone()))
        .route("/prices/{article}", get(price))
        .with_state(Prices::default());

    let listen: SocketAddr =
        std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".to_owned()).parse()?;
    let listener = TcpListener::bind(listen).await?;
    info!("Listening at {}", listener.local_addr()?);
    let mut stop = signal(SignalKind::terminate())?;
    let stopped = async move {
        stop.recv().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    let unfinished = receiver.drain(GRACE).await;
    info!("Stopped with {unfinished} events unfinished");
    Ok(())
}
