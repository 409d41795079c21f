//! `GET /healthz`.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use crate::{access::refusal::Refusal, http::Daemon};

/// Whether the daemon is ready
///
/// The daemon is ready once the BPF programs are attached and `/proc` has been scanned.
#[utoipa::path(
    get, path = "/healthz", tag = "daemon",
    responses(
        (status = 200, description = "the daemon is ready", body = String,
         content_type = "text/plain"),
        (status = 503, description = "the daemon is not ready", body = crate::api::problem::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn health(State(daemon): State<Arc<Daemon>>) -> Result<&'static str, Refusal> {
    if daemon.engine.now().is_ready && daemon.hub.has_bpf() {
        return Ok("ok\n");
    }
    let unready = "/proc has not been scanned yet, or the BPF programs are gone";
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, unready))
}
