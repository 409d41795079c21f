//! `probe daemon`: one privileged process, everybody's instant waits.
//!
//! ```text
//! DECISIVE ══→ Hub ─────────── bells ──→ waits ──┐ lines
//! STREAM ════→ Engine ──→ tracker, history       ▼
//! /proc ────────┘ │└────→ process table ───→ routes ──→ connections
//!                 └─────→ topics ──→ mailboxes ──┘ ▲
//!                                                Peer
//! ```
//!
//! One thread, one runtime. `engine` keeps what is known; `routes` read it;
//! `server` bounds who may ask. What a client says is resolved by `aim`, and
//! what it may know is decided by `peer`. What is left of the privileges that
//! the start needs is in [`confine`].

pub mod accounts;
pub mod config;
pub mod confine;
mod error;
pub mod limits;
pub mod notify;
pub mod privileges;
pub mod sandbox;
pub mod socket;

use std::{
    io,
    os::unix::net::UnixListener,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use probe_user::{
    model::{Backend, Filter},
    unstable::{
        bpf::{hook::Hook, load::Plan},
        cgroup::mounts::Mounts,
        container::{Resolver, StateRoots},
        kernel::departure,
        wait::Hub,
    },
};
use tokio::time::timeout;

pub use self::error::RunError;
use self::{
    config::Config,
    confine::Sight,
    notify::Supervisor,
    socket::{Listening, Place},
};
pub use crate::http::routes::document;
use crate::{
    api::info::Kernel,
    http::{
        Daemon,
        server::Server,
        stopping::{Stop, Stopping},
    },
    state::{engine::Engine, metrics::Metrics},
};

/// What a supervisor gave.
#[derive(Debug)]
pub struct Outside {
    /// Whom to tell.
    pub supervisor: Supervisor,
    /// The socket that it listens to.
    pub passed: Option<UnixListener>,
}

/// How long waits in flight have to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// Twice what a trace has: every start is in it as well, and nobody must miss an
/// exit because the daemon answered somebody else.
const STREAM_BYTES: u32 = 8 << 20;

/// Serves until `stop`; `announce` is told when it begins.
pub async fn run(
    config: Config,
    outside: Outside,
    announce: impl FnOnce(&str),
    stop: impl Future<Output = i32>,
) -> Result<(), RunError> {
    let max_clients = limits::max_clients(config.max_clients)?;
    let listening = match outside.passed {
        Some(socket) => Listening::passed(socket)?,
        None => Listening::bind(Place::of(&config))?,
    };
    let (stopper, stopping) = Stop::new();
    let daemon = Arc::new(load(&config, &listening, max_clients, stopping.clone()).await?);
    let hub = Arc::clone(&daemon.hub);
    let mut keeping_up = tokio::spawn(Arc::clone(&daemon.engine).run(hub));
    let listener = tokio::net::UnixListener::from_std(listening.socket()?)?;
    let (server, everybody_gone) = Server::new(daemon, listener);
    let serving = tokio::spawn(server.run(stopping));
    let supervisor = outside.supervisor;
    let status = format!("serving at most {max_clients} clients");
    supervisor.ready(&status);
    announce(&status);
    tokio::select! {
        ended = &mut keeping_up => return Err(ended.unwrap_or_else(io::Error::other).into()),
        () = supervisor.keep_alive() => {}
        _ = stop => {}
    }
    supervisor.stopping();
    stopper.now();
    let over = async {
        _ = serving.await;
        everybody_gone.await;
    };
    if timeout(FAREWELL, over).await.is_err() {
        tracing::info!("some clients did not take the goodbye in time");
    }
    Ok(())
}

/// Everything that needs a privilege, and then there are none.
async fn load(
    config: &Config,
    listening: &Listening,
    max_clients: usize,
    stopping: Stopping,
) -> Result<Daemon, RunError> {
    let begun = Instant::now();
    let mounts = Mounts::read()?;
    let roots = StateRoots::system(None, Vec::new());
    let resolver = Resolver::new(roots.clone());
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(plan());
    let stream = hub.bpf().await.ok_or(RunError::NotLoaded)??;
    let metrics = Arc::new(Metrics::new(SystemTime::now()));
    metrics.set_ring_bytes(STREAM_BYTES);
    let counted = Arc::clone(&metrics);
    let engine = Engine::new(stream, mounts.clone(), resolver, config.history, counted);
    let sight = Sight {
        mounts: &mounts,
        roots: &roots,
        socket_directory: listening.directory(),
    };
    // Remembered: nobody reads the kernel's types afterwards.
    let _is_late = departure::is_late();
    confine::confine(config, sight, || hub.can_watch())?;
    Ok(Daemon {
        kernel: kernel(&hub),
        hub: Arc::new(hub),
        engine: Arc::new(engine),
        metrics,
        stopping,
        begun,
        max_clients,
        history: config.history as u64,
    })
}

fn plan() -> Plan {
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
        filter: Filter::default().kernel_filter(STREAM_BYTES),
        cgroups: Vec::new(),
        pids: Vec::new(),
        stream_bytes: STREAM_BYTES,
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
