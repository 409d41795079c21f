//! `--backend`: selects what wakes a session, and what replaces a backend that is not
//! available.

use std::time::Duration;

use probe_daemon::client::ClientError;
use probe_user::{model, unstable::bpf::load::Plan};
use rustix::{
    io::Errno,
    process::{PidfdFlags, getpid, pidfd_open},
};

use super::{
    ExitCode, Failure,
    failure::bpf_unavailable,
    socket::{OPTIONAL_PATIENCE, REQUIRED_PATIENCE, Socket, daemon_unavailable},
};
use crate::session::{DaemonRequest, Session, log_missing_daemon};

/// The values of `--backend`. `--help` shows the comments of the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BackendChoice {
    /// the best backend that works
    #[default]
    Auto,
    /// the probe daemon
    Daemon,
    /// BPF programs of this command, which need root or `CAP_BPF` and `CAP_PERFMON`
    Bpf,
    /// pidfds and `cgroup.events`, which need no privileges
    Pidfd,
    /// a timer alone, which works everywhere
    Poll,
}

impl BackendChoice {
    /// Returns the best backend of the library that the session may use, or why the chosen
    /// one is not available. Whether BPF works shows later, when it is loaded.
    pub(super) fn tier(self) -> Result<model::Backend, Failure> {
        match self {
            Self::Poll => Ok(model::Backend::Poll),
            Self::Bpf => Ok(model::Backend::Bpf),
            // With a daemon, too, the session watches its targets by itself.
            Self::Auto | Self::Daemon => Ok(match open_pidfd() {
                Ok(()) => model::Backend::Bpf,
                Err(errno) => {
                    tracing::info!(%errno, "pidfds are not available");
                    model::Backend::Poll
                }
            }),
            Self::Pidfd => open_pidfd()
                .map(|()| model::Backend::Pidfd)
                .map_err(|errno| {
                    let message = format!("backend pidfd is not available: pidfd_open: {errno}");
                    let failure = Failure::message(ExitCode::NotAvailable, message);
                    failure.hint(
                        "pidfd_open needs Linux 5.3 and a seccomp filter that allows it; \
                     --backend poll works everywhere",
                    )
                }),
        }
    }
}

fn open_pidfd() -> Result<(), Errno> {
    pidfd_open(getpid(), PidfdFlags::empty()).map(drop)
}

/// Selects the backends that wake a session in addition to what the session watches by
/// itself.
#[derive(Debug)]
pub(super) struct BackendSelection<'a> {
    pub(super) choice: BackendChoice,
    pub(super) socket: &'a Socket,
    pub(super) timeout: Option<Duration>,
    /// The BPF programs, until the session gets them.
    pub(super) plan: Option<Plan>,
}

/// How long an optional daemon may take to answer before a signal is sent.
const PATIENCE_BEFORE_SIGNAL: Duration = Duration::from_millis(250);

impl BackendSelection<'_> {
    /// Starts the backend that the user chose, or fails.
    pub(super) async fn join_chosen(
        &mut self,
        session: &mut Session,
        needed: usize,
    ) -> Result<(), Failure> {
        match self.choice {
            BackendChoice::Bpf => {
                if let Some(plan) = self.plan.take() {
                    session.load_bpf(plan);
                    session.bpf_joined().await.map_err(bpf_unavailable)?;
                }
            }
            BackendChoice::Daemon => {
                if let Some(request) = self.request(REQUIRED_PATIENCE, Duration::ZERO)? {
                    session.ask_daemon(request);
                    match session.daemon_answered().await? {
                        Ok(()) => {}
                        // The daemon works, but refuses targets that have just
                        // disappeared.
                        Err(ClientError::Refused(_)) if session.look()? >= needed => {}
                        Err(error) => return Err(daemon_unavailable(error)),
                    }
                }
            }
            BackendChoice::Auto | BackendChoice::Pidfd | BackendChoice::Poll => {}
        }
        Ok(())
    }

    /// With `auto`: the best backend that works joins while the session runs.
    pub(super) fn join_best(&mut self, session: &mut Session) -> Result<(), Failure> {
        if self.choice == BackendChoice::Auto
            && let Some(request) = self.request(OPTIONAL_PATIENCE, Duration::ZERO)?
        {
            session.ask_daemon(request);
        }
        Ok(())
    }

    /// Like [`Self::join_best`], but before a signal is sent: a daemon that answers is armed
    /// when this function returns. Without a daemon, BPF joins after `delay`. With no delay,
    /// BPF has joined when this function returns, or the function fails.
    pub(super) async fn join_best_now(
        &mut self,
        session: &mut Session,
        delay: Option<Duration>,
    ) -> Result<(), Failure> {
        if self.choice != BackendChoice::Auto {
            return Ok(());
        }
        let Some(request) = self.request(PATIENCE_BEFORE_SIGNAL, delay.unwrap_or_default())? else {
            return Ok(());
        };
        let is_named = request.is_named;
        session.ask_daemon(request);
        if let Err(error) = session.daemon_answered().await? {
            // The session has logged that the daemon lacks exits.
            if !matches!(error, ClientError::WithoutExits) {
                log_missing_daemon(error, is_named);
            }
            if delay.is_none() {
                session.load_bpf_now().await.map_err(bpf_unavailable)?;
            }
        }
        Ok(())
    }

    /// Returns `None` if the session has the programs already.
    fn request(
        &mut self,
        patience: Duration,
        delay: Duration,
    ) -> Result<Option<DaemonRequest>, Failure> {
        let Some(plan) = self.plan.take() else {
            return Ok(None);
        };
        let daemon = self.socket.daemon()?;
        Ok(Some(DaemonRequest {
            socket: daemon.socket,
            trust: daemon.trust,
            patience,
            is_named: daemon.is_named,
            timeout: self.timeout,
            fallback: (plan, delay),
        }))
    }
}
