//! Errors of the client: no daemon, no permission, or an answer that violates the API.

use std::{io, path::PathBuf, time::Duration};

use crate::api::{VERSION, problem::Problem};

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant explains its fields")]
pub enum ClientError {
    /// No daemon listens on the socket.
    #[error("no probe daemon listens on {}", socket.display())]
    Absent {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The permissions of the socket exclude this user.
    #[error("this user may not connect to {}", socket.display())]
    Forbidden {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The connection failed for another reason.
    #[error("cannot connect to {}", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The listener runs as a user that is not trusted, see
    /// [`Trust`](super::Trust).
    #[error("the listener on {} runs as uid {uid}, which is not trusted", socket.display())]
    Untrusted { socket: PathBuf, uid: u32 },
    /// The daemon has another version of the API.
    #[error("the daemon has version {theirs} of the API, but this client has version {VERSION}")]
    Version { theirs: u32 },
    /// An answer did not arrive within the timeout.
    #[error("the daemon did not answer within {after:?}")]
    Late { after: Duration },
    /// The answer is not HTTP, or the connection failed.
    #[error("invalid HTTP from the daemon")]
    Http(#[from] hyper::Error),
    /// The request cannot be written as HTTP.
    #[error("cannot write the request as HTTP")]
    Request(#[from] hyper::http::Error),
    /// The request cannot be written as a query.
    #[error("cannot write the request as a query")]
    Query(#[from] serde_urlencoded::ser::Error),
    /// The daemon refuses the request and gives the reason.
    #[error("the daemon refused the request: {}", .0.detail)]
    Refused(Problem),
    /// The daemon refuses the request with an HTTP status only.
    #[error("the daemon refused the request with HTTP status {status}")]
    Status { status: u16 },
    /// The answer has another media type.
    #[error("the daemon answered with media type '{actual}' (expected {expected})")]
    MediaType {
        expected: &'static str,
        actual: String,
    },
    /// The answer, or one line of it, is longer than the client accepts.
    #[error("an answer from the daemon is longer than {limit} bytes")]
    TooLong { limit: usize },
    /// The answer is not the JSON of the API.
    #[error("invalid JSON from the daemon")]
    Json(#[from] serde_json::Error),
    /// A message names a target that the request does not have.
    #[error("the daemon named target {0}, which the request does not have")]
    NoSuchTarget(u32),
    /// The daemon does not know the exits in a target.
    #[error("the daemon does not know exits by cgroup in this v1 hierarchy")]
    WithoutExits,
    /// The answer would have pids of another pid namespace.
    #[error("the daemon is in another pid namespace")]
    OtherPids,
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    Stopping,
    /// The connection was closed before the last message.
    #[error("the daemon closed the connection")]
    Gone,
}

impl ClientError {
    /// Whether there is no daemon, or none that this user may use. A caller that does not
    /// need a daemon goes on without it.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Forbidden { .. })
    }

    /// Whether the requested object does not exist, or is hidden from this user.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }

    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.hint.as_deref(),
            Self::Forbidden { .. } => Some("join the group of the socket, or run this as root"),
            Self::Absent { .. } => {
                Some("start a daemon with `probe daemon`, or pass its socket: --socket PATH")
            }
            Self::Untrusted { .. } => {
                Some("if your daemon runs as this user, set PROBE_DAEMON_UID=UID")
            }
            Self::WithoutExits => {
                Some("name the cgroup of the processes in v2 or in the hierarchy of pids")
            }
            _ => None,
        }
    }
}
