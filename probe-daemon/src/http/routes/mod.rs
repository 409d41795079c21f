//! The routes of the API, one file each.

mod containers;
mod events;
mod exits;
mod health;
mod info;
mod lines;
mod metrics;
mod openapi;
mod wait;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    routing::{get, post},
};

use super::Daemon;
use crate::access::refusal::Refusal;

pub use openapi::document;

/// Hint for a route or method that does not exist.
const ROUTES: &str = "GET /v1/openapi.json lists the routes";

/// All routes of the API.
pub(crate) fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/v1/info", get(info::info))
        .route("/v1/wait", post(wait::wait))
        .route("/v1/events", get(events::events))
        .route("/v1/exits", get(exits::exits))
        .route("/v1/containers", get(containers::list))
        .route("/v1/containers/{id}", get(containers::one))
        .route("/v1/openapi.json", get(openapi::openapi))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::health))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(daemon)
}

async fn unknown(uri: Uri) -> Refusal {
    let detail = format!("no such route: {}", uri.path().escape_debug());
    Refusal::not_found(detail).hint(ROUTES)
}

async fn not_allowed(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{} does not support the method {method}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail).hint(ROUTES)
}
