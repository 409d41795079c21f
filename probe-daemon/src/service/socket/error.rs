//! Errors of creating or taking over the socket.

use std::{fs, io, path::PathBuf};

use rustix::io::Errno;

/// Why the daemon cannot listen on its socket.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant explains its fields")]
pub enum SocketError {
    /// Another process listens on the socket, or is about to.
    #[error("{} is in use{}", path.display(), by(*pid))]
    InUse {
        path: PathBuf,
        /// Pid of the listener; `None` if the other process does not listen yet.
        pid: Option<i32>,
    },
    /// The file at the path is not a socket.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The directory is missing and cannot be created, or no file can be created in it.
    #[error("cannot create a socket in {}", directory.display())]
    Directory {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The socket file of a dead daemon cannot be examined or removed.
    #[error("cannot replace {}", path.display())]
    Stale {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// bind(2) or listen(2) failed.
    #[error("cannot listen on {}", path.display())]
    Bind {
        path: PathBuf,
        #[source]
        source: Errno,
    },
    /// Owner or permissions of the socket could not be set.
    #[error("cannot set owner and permissions of {}", path.display())]
    Permissions {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// This user may not give the socket to the configured group.
    #[error("no permission to give {} to group '{group}'", path.display())]
    Group { path: PathBuf, group: String },
    /// The inherited descriptor is not a Unix socket, or is unusable.
    #[error("the inherited socket (LISTEN_FDS) is not usable")]
    Passed {
        #[source]
        source: io::Error,
    },
    /// The inherited socket does not listen.
    #[error("the inherited socket (LISTEN_FDS) does not listen")]
    NotListening,
    /// More than one socket was inherited.
    #[error("{0} sockets were inherited (LISTEN_FDS) instead of one")]
    Several(usize),
}

impl SocketError {
    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "stop that process, or use another path with --socket",
            Self::NotASocket(_) => "probe removes only sockets; move this file away",
            Self::Directory { .. } => {
                "the daemon creates directories only below /run; create this directory and \
                 make it writable for the daemon, or use another path with --socket"
            }
            Self::Stale { .. } => "remove the file, or use another path with --socket",
            Self::Bind { source, .. } if *source == Errno::NAMETOOLONG => {
                "the path of a socket has at most 107 bytes"
            }
            Self::Bind { .. } => "use another path with --socket",
            Self::Permissions { .. } => {
                "giving the socket to another user needs CAP_CHOWN; with --user 0 root keeps it"
            }
            Self::Group { .. } => {
                "users other than root can give a socket only to their own groups"
            }
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
