//! `probe daemon`: one privileged process, everybody's instant waits.
//!
//! ```text
//! rings ──→ Hub ───────── bells ──→ waits ──┐
//!   └─────→ Engine: tracker, table, history │
//!              └── topics ──→ mailboxes ────┴──→ routes ──→ connections
//! ```
//!
//! One thread, one runtime. The [`engine`] keeps what is known; [`routes`] read
//! it; [`server`] bounds who may ask. What a client says is resolved by
//! [`aim`], and what it may know is [`peer`]'s decision.

mod aim;
mod body;
mod engine;
mod peer;
mod refusal;
mod routes;
mod selection;
mod server;
mod stopping;
mod targets;
mod topics;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::net::UnixListener;

pub use self::routes::document;
use self::{
    engine::Engine,
    stopping::{Stop, Stopping},
};
use crate::{
    api::info::Kernel,
    container::{Resolver, StateRoots},
    filter::Wanted,
    source::{
        cgroupfs::{self, MountError},
        hook::Hook,
        load::{LoadError, Plan},
    },
    wait::Hub,
    waiter::Backend,
};

/// Why the daemon does not run (any more).
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The programs cannot be loaded or attached.
    #[error("cannot load the kernel half")]
    Load(#[source] LoadError),
    /// No thread could load them.
    #[error("nothing loaded the kernel half")]
    NotLoaded,
    /// The mounts are unknown.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// The ring cannot be waited for (any more).
    #[error("cannot wait for the ring buffer")]
    Ring(#[source] io::Error),
    /// The socket takes no connections.
    #[error("cannot serve the socket")]
    Serve(#[source] io::Error),
}

/// How much is kept and served.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Exits that are kept.
    pub history: usize,
    /// Connections at one time.
    pub max_clients: usize,
    /// Size of the stream ring in bytes: a power of two, at least a page.
    pub stream_bytes: u32,
}

/// What the routes have in common.
struct Daemon {
    hub: Arc<Hub>,
    engine: Arc<Engine>,
    stopping: Stopping,
    begun: Instant,
    kernel: Kernel,
    max_clients: usize,
    history: u64,
}

/// A daemon whose programs run, and which nobody can ask yet.
pub struct Loaded {
    daemon: Arc<Daemon>,
    stop: Stop,
    keeping_up: tokio::task::JoinHandle<io::Error>,
}

/// How long waits in flight have to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

impl Loaded {
    /// Loads and attaches the programs; needs the privileges for that.
    pub async fn load(bounds: Bounds, roots: StateRoots) -> Result<Self, DaemonError> {
        let begun = Instant::now();
        let mounts = cgroupfs::mounts()?;
        let mut hub = Hub::start(Backend::Bpf);
        hub.load(plan(bounds.stream_bytes));
        let stream = hub.bpf().await.ok_or(DaemonError::NotLoaded)?;
        let stream = stream.map_err(DaemonError::Load)?;
        let hub = Arc::new(hub);
        let engine = Engine::new(stream, mounts, Resolver::new(roots), bounds.history);
        let engine = Arc::new(engine);
        let keeping_up = tokio::spawn(Arc::clone(&engine).run(Arc::clone(&hub)));
        let (stop, stopping) = Stop::new();
        let daemon = Arc::new(Daemon {
            kernel: kernel(&hub),
            hub,
            engine,
            stopping,
            begun,
            max_clients: bounds.max_clients,
            history: bounds.history as u64,
        });
        Ok(Self {
            daemon,
            stop,
            keeping_up,
        })
    }

    /// Serves until `stop` resolves; then waits in flight are told goodbye.
    pub async fn serve(
        mut self,
        listener: UnixListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), DaemonError> {
        let router = routes::router(Arc::clone(&self.daemon));
        let stopping = self.daemon.stopping.clone();
        let (finished, all_finished) = server::farewell();
        let serving = server::serve(
            listener,
            router,
            self.daemon.max_clients,
            stopping,
            finished,
        );
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            served = &mut serving => return served.map_err(DaemonError::Serve),
            ended = &mut self.keeping_up => {
                let error = ended.unwrap_or_else(io::Error::other);
                return Err(DaemonError::Ring(error));
            }
            () = stop => {}
        }
        self.stop.now();
        serving.await.map_err(DaemonError::Serve)?;
        if tokio::time::timeout(FAREWELL, all_finished).await.is_err() {
            tracing::info!("some clients did not take the goodbye in time");
        }
        Ok(())
    }
}

fn plan(stream_bytes: u32) -> Plan {
    let mut hooks = vec![
        Hook::CgroupPopulated,
        Hook::CgroupRemoved,
        Hook::CgroupMade,
        Hook::CgroupAttach,
        Hook::Fork,
        Hook::Exec,
    ];
    hooks.extend(Hook::EXITS);
    Plan {
        hooks,
        filter: Wanted::default().kernel_filter(stream_bytes),
        cgroups: Vec::new(),
        pids: Vec::new(),
        stream_bytes,
    }
}

fn kernel(hub: &Hub) -> Kernel {
    Kernel {
        release: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        btf: hub.has_types(),
        exit_program: hub.exit_shape().map(|shape| shape.as_str().to_owned()),
    }
}
