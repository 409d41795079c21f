//! Errors on the way to a listening socket.

use std::{fs, io, path::PathBuf};

use rustix::io::Errno;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens there, or is about to.
    #[error("{} is in use{}", path.display(), by(*pid))]
    InUse {
        /// Path of the socket.
        path: PathBuf,
        /// Pid of the listener; `None` if it does not listen yet, or is
        /// in another pid namespace.
        pid: Option<i32>,
    },
    /// The file at the path is no socket.
    #[error("{} exists and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// The directory is missing and cannot be made, or no file can be made in it.
    #[error("cannot make a socket in {}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file that a dead daemon left cannot be examined or removed.
    #[error("cannot replace {}", path.display())]
    Stale {
        /// Path of the socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// bind(2) or listen(2) failed.
    #[error("cannot listen at {}", path.display())]
    Bind {
        /// Path of the socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// User or permissions of the socket could not be set.
    #[error("cannot set user and permissions of {}", path.display())]
    Permissions {
        /// Path of the socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// This user may not give the socket to the configured group.
    #[error("may not give {} to group '{group}'", path.display())]
    Group {
        /// Path of the socket.
        path: PathBuf,
        /// The group.
        group: String,
    },
    /// The inherited descriptor is no Unix socket, or unusable.
    #[error("the socket that was handed over (LISTEN_FDS) is not usable")]
    Passed {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The inherited socket does not listen.
    #[error("the socket that was handed over (LISTEN_FDS) does not listen")]
    NotListening,
    /// More than one socket was inherited.
    #[error("{0} sockets were handed over (LISTEN_FDS) instead of one")]
    Several(usize),
}

impl SocketError {
    /// What a user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "stop that one first, or serve another path with --socket",
            Self::NotASocket(_) => "probe removes nothing that it did not make; move it away",
            Self::Directory { .. } => {
                "directories are made below /run only; make it and let the daemon write to it, \
                 or take another path with --socket"
            }
            Self::Stale { .. } => "remove it, or take another path with --socket",
            Self::Bind { source, .. } if *source == Errno::NAMETOOLONG => {
                "the path of a socket has at most 107 bytes"
            }
            Self::Bind { .. } => "take another path with --socket",
            Self::Permissions { .. } => {
                "to give it to another user takes CAP_CHOWN; with --user 0 it stays root's"
            }
            Self::Group { .. } => "who is not root can give it to its own groups only",
            Self::Passed { .. } | Self::NotListening | Self::Several(_) => {
                "a socket unit needs one ListenStream= with the path of a Unix socket"
            }
        }
    }
}

fn by(pid: Option<i32>) -> String {
    match pid {
        // 0 stands for a process in another pid namespace.
        None | Some(0) => " by another process".to_owned(),
        Some(pid) => match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(comm) => format!(" by {}[{pid}]", comm.trim_end()),
            Err(_) => format!(" by process {pid}"),
        },
    }
}
