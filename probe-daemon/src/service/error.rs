//! Errors of the daemon's start and run.

use std::io;

use probe_user::unstable::{bpf::load::LoadError, cgroup::mounts::MountError};

use super::{confine::ConfineError, limits::TooManyClients, socket::SocketError};

/// Why the daemon did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The limit of file descriptors is too low for the configured number of clients.
    #[error(transparent)]
    Clients(#[from] TooManyClients),
    /// The socket could not be created or taken over.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The cgroup mounts could not be read.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// The thread that loads the BPF programs could not run.
    #[error("cannot start the thread that loads the BPF programs")]
    NotLoaded,
    /// The BPF programs could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A privilege could not be dropped.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The socket or a ring buffer failed.
    #[error("cannot serve")]
    Serve(#[from] io::Error),
}
