//! From `--backend` to what serves a session: what is asked first, and what joins
//! where that cannot be had.

use std::time::Duration;

use probe_daemon::client::ClientError;
use probe_user::{model, unstable::bpf::load::Plan};
use rustix::{
    io::Errno,
    process::{PidfdFlags, getpid, pidfd_open},
};

use super::{
    ExitCode, Failure,
    failure::without_bpf,
    socket::{PATIENCE, Socket, without_daemon},
};
use crate::session::{DaemonRequest, Session, log_without_daemon};

/// The words of `--backend`. Documentation comments on them would appear in
/// `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BackendChoice {
    // The best that works.
    #[default]
    Auto,
    // The daemon's stream, or an error.
    Daemon,
    // Our own BPF programs, or an error.
    Bpf,
    // What needs no privilege.
    Pidfd,
    // The timer alone.
    Poll,
}

impl BackendChoice {
    /// The best backend of the library that may be used, or why the chosen one cannot
    /// be had. Whether BPF loads is found out by loading it.
    pub(super) fn tier(self) -> Result<model::Backend, Failure> {
        match self {
            Self::Poll => Ok(model::Backend::Poll),
            Self::Bpf => Ok(model::Backend::Bpf),
            // Also beside a daemon the session watches by itself.
            Self::Auto | Self::Daemon => Ok(match open_pidfd() {
                Ok(()) => model::Backend::Bpf,
                Err(errno) => {
                    tracing::info!(%errno, "without pidfds");
                    model::Backend::Poll
                }
            }),
            Self::Pidfd => open_pidfd().map(|()| model::Backend::Pidfd).map_err(|errno| {
                let message = format!("backend pidfd: pidfd_open: {errno}");
                let failure = Failure::message(ExitCode::NotAvailable, message);
                failure.hint("needs Linux 5.3, and no seccomp filter against it; --backend poll works everywhere")
            }),
        }
    }
}

fn open_pidfd() -> Result<(), Errno> {
    pidfd_open(getpid(), PidfdFlags::empty()).map(drop)
}

/// Selects the backend that serves a session beside what the session watches by
/// itself.
#[derive(Debug)]
pub(super) struct BackendSelection<'a> {
    pub(super) choice: BackendChoice,
    pub(super) socket: &'a Socket,
    pub(super) timeout: Option<Duration>,
    /// The BPF programs, until they are handed to the session.
    pub(super) plan: Option<Plan>,
}

/// How long a daemon that the user did not name may take to answer. Until then only
/// what needs no privilege serves.
const UNNAMED: Duration = Duration::from_secs(1);
/// How long such a daemon may take before a signal is sent.
const BEFORE_A_SIGNAL: Duration = Duration::from_millis(250);

impl BackendSelection<'_> {
    /// Makes the backend that the user chose serve, or fails.
    pub(super) async fn join_chosen(
        &mut self,
        session: &mut Session,
        needed: usize,
    ) -> Result<(), Failure> {
        match self.choice {
            BackendChoice::Bpf => {
                if let Some(plan) = self.plan.take() {
                    session.load_bpf(plan);
                    session.bpf_joined().await.map_err(without_bpf)?;
                }
            }
            BackendChoice::Daemon => {
                if let Some(request) = self.request(PATIENCE, Duration::ZERO)? {
                    session.ask_daemon(request);
                    match session.daemon_answered().await? {
                        Ok(()) => {}
                        // The daemon serves, but does not know targets that went away
                        // just now.
                        Err(ClientError::Refused(_)) if session.look()? >= needed => {}
                        Err(error) => return Err(without_daemon(error)),
                    }
                }
            }
            BackendChoice::Auto | BackendChoice::Pidfd | BackendChoice::Poll => {}
        }
        Ok(())
    }

    /// If the choice is ours: the best backend that works joins while the session
    /// runs.
    pub(super) fn join_best(&mut self, session: &mut Session) -> Result<(), Failure> {
        if self.choice == BackendChoice::Auto
            && let Some(request) = self.request(UNNAMED, Duration::ZERO)?
        {
            session.ask_daemon(request);
        }
        Ok(())
    }

    /// Like [`Self::join_best`], before a signal is sent: a daemon that answers is armed
    /// when this returns. If none does, BPF joins after `delay`. Without a delay it has joined
    /// when this returns, or that is an error.
    pub(super) async fn join_best_now(
        &mut self,
        session: &mut Session,
        delay: Option<Duration>,
    ) -> Result<(), Failure> {
        if self.choice != BackendChoice::Auto {
            return Ok(());
        }
        let Some(request) = self.request(BEFORE_A_SIGNAL, delay.unwrap_or_default())? else {
            return Ok(());
        };
        let is_named = request.is_named;
        session.ask_daemon(request);
        if let Err(error) = session.daemon_answered().await? {
            log_without_daemon(error, is_named);
            if delay.is_none() {
                session.load_bpf_now().await.map_err(without_bpf)?;
            }
        }
        Ok(())
    }

    /// `None` if the programs were handed over already.
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
