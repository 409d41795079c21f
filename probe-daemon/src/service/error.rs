//! Why the daemon does not serve, or no longer.

use std::io;

use probe_user::unstable::{bpf::load::LoadError, cgroup::mounts::MountError};

use super::{confine::ConfineError, limits::TooMany, socket::SocketError};

/// Why the daemon does not serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There are not enough descriptors for the clients asked for.
    #[error(transparent)]
    Clients(#[from] TooMany),
    /// There is no socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The cgroup mounts are not to be found.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// Nothing loaded the programs.
    #[error("no thread could load the kernel half")]
    NotLoaded,
    /// The programs do not run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It would have more rights than it needs.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The socket or the rings broke.
    #[error("cannot serve")]
    Serve(#[from] io::Error),
}
