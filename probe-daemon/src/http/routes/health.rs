//! `GET /healthz`.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use crate::{access::refusal::Refusal, http::Daemon};

/// Whether the daemon serves
///
/// Ready once the programs are attached and the machine has been scanned.
#[utoipa::path(
    get, path = "/healthz", tag = "daemon",
    responses(
        (status = 200, description = "ready", body = String, content_type = "text/plain"),
        (status = 503, description = "not ready yet", body = crate::api::problem::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn health(State(daemon): State<Arc<Daemon>>) -> Result<&'static str, Refusal> {
    if daemon.engine.now().is_ready && daemon.hub.has_bpf() {
        return Ok("ok\n");
    }
    let unready = "the machine is still being scanned, or the kernel half is gone";
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, unready))
}
