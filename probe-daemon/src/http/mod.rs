//! HTTP: the server, its routes, and what a request means.

pub(crate) mod body;
pub(crate) mod resolve;
pub(crate) mod routes;
pub(crate) mod selection;
pub(crate) mod server;
pub(crate) mod stopping;
pub(crate) mod targets;

use std::{sync::Arc, time::Instant};

use probe_user::unstable::wait::Hub;

use self::stopping::Stopping;
use crate::{
    api::info::Kernel,
    state::{engine::Engine, metrics::Metrics},
};

/// What the routes have in common.
pub(crate) struct Daemon {
    pub(crate) hub: Arc<Hub>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: Stopping,
    pub(crate) begun: Instant,
    pub(crate) kernel: Kernel,
    pub(crate) max_clients: usize,
    pub(crate) history: u64,
}
