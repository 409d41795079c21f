//! `GET /v1/info`.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use probe_user::{model::Backend, unstable::proc::pid_namespace};

use crate::{
    access::peer::Peer,
    api::{VERSION, info::Info, json::SCHEMA},
    http::Daemon,
};

/// Version, limits and losses of the daemon
#[utoipa::path(
    get, path = "/v1/info", tag = "daemon",
    responses((status = 200, description = "the daemon and its kernel", body = Info))
)]
pub(super) async fn info(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
) -> Json<Info> {
    let backend = if daemon.hub.has_bpf() {
        Backend::Bpf
    } else {
        Backend::Pidfd
    };
    let state = daemon.engine.now();
    Json(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: VERSION,
        schema: SCHEMA,
        backend: backend.as_str().to_owned(),
        ready: state.is_ready,
        pid_ns: pid_namespace::own(),
        uptime_seconds: daemon.started.elapsed().as_secs(),
        kernel: daemon.kernel.clone(),
        loss: peer.sees_all().then_some(state.tables.loss),
        history: daemon.history,
        max_clients: daemon.max_clients as u64,
    })
}
