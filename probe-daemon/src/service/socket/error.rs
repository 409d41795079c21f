//! Why there is no socket.

use std::{fs, io, path::PathBuf};

use rustix::io::Errno;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there, or is about to.
    #[error("{} is in use{}", path.display(), by(*pid))]
    InUse {
        /// Which.
        path: PathBuf,
        /// Who, as the kernel says; `None` if it listens not yet, or in another
        /// pid namespace.
        pid: Option<i32>,
    },
    /// What is there was not made by a daemon.
    #[error("{} exists and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// The directory is not there and cannot be made, or nothing can be made in it.
    #[error("cannot make a socket in {}", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What a dead daemon left cannot be looked at or removed.
    #[error("cannot replace {}", path.display())]
    Stale {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel did not bind it.
    #[error("cannot listen at {}", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Errno,
    },
    /// Its user or permissions could not be set.
    #[error("cannot set user and permissions of {}", path.display())]
    Permissions {
        /// Of which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The group is one that may not be given.
    #[error("may not give {} to group '{group}'", path.display())]
    Group {
        /// What.
        path: PathBuf,
        /// To whom.
        group: String,
    },
    /// What the supervisor handed over is not to be used.
    #[error("the socket that was handed over (LISTEN_FDS) is not usable")]
    Passed {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the supervisor handed over is connected, or bound only.
    #[error("the socket that was handed over (LISTEN_FDS) does not listen")]
    NotListening,
    /// It handed over several.
    #[error("{0} sockets were handed over (LISTEN_FDS) instead of one")]
    Several(usize),
}

impl SocketError {
    /// What to do.
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
        // 0 is what a process of another pid namespace looks like.
        None | Some(0) => " by another process".to_owned(),
        Some(pid) => match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(comm) => format!(" by {}[{pid}]", comm.trim_end()),
            Err(_) => format!(" by process {pid}"),
        },
    }
}
