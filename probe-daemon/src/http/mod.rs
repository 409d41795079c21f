//! The HTTP server, its routes, and the resolution of the targets in a request.

pub(crate) mod body;
mod conditions;
mod half_closed;
pub(crate) mod history;
mod resolve;
pub(crate) mod routes;
pub(crate) mod selection;
pub(crate) mod server;
pub(crate) mod targets;

use std::{sync::Arc, time::Instant};

use probe_user::unstable::wait::Hub;
use tokio_util::sync::CancellationToken;

use crate::{
    api::info::Kernel,
    state::{engine::Engine, metrics::Metrics},
};

/// State that all routes share.
pub(crate) struct Daemon {
    pub(crate) hub: Arc<Hub>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the daemon stops.
    pub(crate) shutdown: CancellationToken,
    pub(crate) started: Instant,
    pub(crate) kernel: Kernel,
    pub(crate) max_clients: usize,
    pub(crate) history: u64,
}
