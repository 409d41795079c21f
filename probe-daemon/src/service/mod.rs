//! The daemon as a service: configuration, socket, privileges, sandbox and systemd around
//! the HTTP server.
//!
//! ```text
//! BPF wake-ups ─→ Hub ───────────────────→ waits ────┐ lines
//! BPF stream ───→ Engine ─→ tracker, history         ▼
//! /proc ────────────┘ │└──→ process table ───────→ routes ─→ connections
//!                     └───→ topics ─→ mailboxes ─────┘ ▲
//!                                                    Peer
//! ```
//!
//! One thread with a tokio runtime serves all clients. The engine of `state` keeps the
//! state up to date, and the routes of `http` read it. The server of `http` bounds the
//! connections. `access` decides which processes a peer may see. `confine` drops the
//! privileges once the BPF programs are attached.

mod accounts;
mod config;
mod confine;
mod error;
mod limits;
mod notify;
mod privileges;
mod sandbox;
mod socket;

use std::{
    fs, io,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use probe_user::{
    model::{Backend, Filter},
    unstable::{
        bpf::{
            hook::Hook,
            load::{MAX_WATCHED, Plan},
        },
        cgroup::mounts::Mounts,
        container::{Resolver, StateRoots},
        kernel::departure,
        wait::Hub,
    },
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::{
    accounts::{Account, Accounts, Group},
    config::{Config, ConfigError, History, MaxClients, Mode, Settings},
    confine::ConfineError,
    error::RunError,
    limits::TooManyClients,
    notify::{Environment, Supervisor},
    privileges::PrivilegeError,
    sandbox::{CallError, FileError},
    socket::SocketError,
};
use self::{
    sandbox::Files,
    socket::{Listening, SocketOptions},
};
pub use crate::http::routes::document;
use crate::{
    api::{info::Kernel, moment},
    http::{Daemon, server::Server},
    state::{engine::Engine, metrics::Metrics, state::State},
};

/// Supervisor and socket that the process inherited.
#[derive(Debug)]
pub struct Inherited {
    /// Receiver of readiness, status and watchdog notifications.
    pub supervisor: Supervisor,
    /// The listening socket, if the supervisor created it (`LISTEN_FDS`).
    pub socket: Option<UnixListener>,
}

/// Timeout for the `goodbye` lines of the running waits when the daemon stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Size of the ring buffer: twice that of a trace, because the daemon's stream also has
/// every start, and must not overflow while the daemon answers a request.
const STREAM_BYTES: u32 = 8 << 20;

/// Serves clients until `stop` resolves. Calls `announce` with a status line when the
/// daemon is ready.
pub async fn run(
    config: Config,
    inherited: Inherited,
    announce: impl FnOnce(&str),
    stop: impl Future<Output = i32>,
) -> Result<(), RunError> {
    // The time zone is in a file that the daemon cannot read later.
    let _zone = moment::now();
    let max_clients = limits::max_clients(config.max_clients)?;
    let listening = match inherited.socket {
        Some(socket) => Listening::passed(socket)?,
        None => Listening::bind(SocketOptions::of(&config))?,
    };
    listening.log(SocketOptions::of(&config));
    let shutdown = CancellationToken::new();
    let daemon = Arc::new(load(&config, &listening, max_clients, shutdown.clone()).await?);
    let hub = Arc::clone(&daemon.hub);
    let mut engine = tokio::spawn(Arc::clone(&daemon.engine).run(hub));
    let listener = tokio::net::UnixListener::from_std(listening.socket()?)?;
    let serving = tokio::spawn(Server::new(daemon, listener).run());
    let supervisor = inherited.supervisor;
    let status = format!("serving at most {max_clients} clients");
    supervisor.ready(&status);
    announce(&status);
    tokio::select! {
        ended = &mut engine => return Err(ended.unwrap_or_else(io::Error::other).into()),
        () = supervisor.keep_alive() => {}
        _ = stop => {}
    }
    supervisor.stopping();
    shutdown.cancel();
    if timeout(GOODBYE_TIMEOUT, serving).await.is_err() {
        tracing::info!("some clients did not read their goodbye line in time");
    }
    Ok(())
}

/// Does everything that needs a privilege, then drops the privileges.
async fn load(
    config: &Config,
    listening: &Listening,
    max_clients: usize,
    shutdown: CancellationToken,
) -> Result<Daemon, RunError> {
    let started = Instant::now();
    let mounts = Mounts::read()?;
    let roots = StateRoots::system(None, Vec::new());
    let resolver = Resolver::new(roots);
    let roots = resolver.roots().clone();
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(plan().with_v1(&mounts));
    let stream = hub.bpf().await.ok_or(RunError::NotLoaded)??;
    let metrics = Arc::new(Metrics::new(SystemTime::now()));
    metrics.set_ring_bytes(STREAM_BYTES);
    let counted = Arc::clone(&metrics);
    let state = State::new(stream, mounts.clone(), resolver, config.history, counted);
    let files = Files::needed(&mounts, &roots, listening.directory(), config.runtime_names);
    // The result is cached now, because the kernel's BTF cannot be read later.
    let _is_late = departure::is_late();
    confine::confine(config, &files, || hub.can_watch())?;
    warn_of_secret_state(&roots, config.runtime_names);
    Ok(Daemon {
        kernel: kernel(&hub),
        hub: Arc::new(hub),
        engine: Arc::new(Engine::new(state)),
        metrics,
        shutdown,
        started,
        max_clients,
        history: config.history as u64,
    })
}

/// Logs which engines' names the daemon cannot know, because it may not read their state.
fn warn_of_secret_state(roots: &StateRoots, reads_names: bool) {
    let is_secret = |it: &PathBuf| {
        fs::read_dir(it).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    let secret: Vec<_> = roots.directories().into_iter().filter(is_secret).collect();
    if !secret.is_empty() && !reads_names {
        let secret: Vec<_> = secret.iter().map(|it| it.display().to_string()).collect();
        tracing::warn!(
            "names of containers are unknown if their engine keeps them in {}; \
             hint: start the daemon with --runtime-names and CAP_DAC_READ_SEARCH",
            secret.join(", ")
        );
    }
}

fn plan() -> Plan {
    let mut hooks = Hook::WAITS.to_vec();
    hooks.extend([
        Hook::MemberForkedV1,
        Hook::CgroupCreated,
        Hook::CgroupRenamed,
        Hook::CgroupAttach,
        Hook::Fork,
        Hook::Exec,
    ]);
    hooks.extend(Hook::EXITS);
    Plan {
        hooks,
        filter: Filter::default().kernel_filter(STREAM_BYTES),
        cgroups: Vec::new(),
        pids: Vec::new(),
        stream_bytes: STREAM_BYTES,
        watched: MAX_WATCHED,
        loads_fast: false,
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
