//! `GET /metrics`.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, header},
};

use crate::{
    access::peer::Peer,
    http::Daemon,
    state::{
        metrics::{Format, Scope},
        state,
        table::Row,
    },
};

/// Metrics for Prometheus
///
/// Prometheus text 0.0.4, or `OpenMetrics` 1.0 if the `Accept` header prefers it. Only
/// root and the daemon's own user get the series that name containers.
#[utoipa::path(
    get, path = "/metrics", tag = "daemon",
    responses((status = 200, description = "the metrics", body = String,
               content_type = "text/plain"))
)]
pub(super) async fn metrics(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> ([(HeaderName, &'static str); 1], String) {
    {
        let mut state = daemon.engine.now();
        daemon.metrics.set_live(state.tables.processes.iter().len());
        daemon.metrics.set_containers(containers(&mut state));
    }
    daemon.metrics.set_program_runs(&daemon.hub.program_runs());
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let format = Format::accepted(accept);
    let scope = if peer.sees_all() {
        Scope::Everything
    } else {
        Scope::Totals
    };
    let text = daemon.metrics.render(format, scope);
    daemon.metrics.search_stuck();
    let content_type = (header::CONTENT_TYPE, format.content_type());
    ([content_type], text)
}

/// Number of containers with at least one live process.
fn containers(state: &mut state::State) -> usize {
    let cgroups: HashSet<_> = state
        .tables
        .processes
        .iter()
        .filter_map(Row::cgroup)
        .collect();
    let paths = cgroups
        .into_iter()
        .filter_map(|id| state.tables.tracker.path(id));
    let paths: Vec<_> = paths.collect();
    let mut found = HashSet::new();
    for path in paths {
        if let Some(container) = state.tables.lookup.resolver.container_of(&path) {
            found.insert((container.runtime, container.id.clone()));
        }
    }
    found.len()
}
