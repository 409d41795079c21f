//! Errors of the client: no daemon, no permission, or an answer that is not what the
//! API says.

use std::{io, path::PathBuf, time::Duration};

use crate::api::{VERSION, problem::Problem};

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens on the socket.
    #[error("no probe daemon listens on {}", socket.display())]
    Absent {
        /// Path of the socket.
        socket: PathBuf,
        /// Error of connect(2).
        #[source]
        source: io::Error,
    },
    /// The permissions of the socket exclude this user.
    #[error("the socket {} may not be used by this user", socket.display())]
    Forbidden {
        /// Path of the socket.
        socket: PathBuf,
        /// Error of connect(2).
        #[source]
        source: io::Error,
    },
    /// The connection failed for another reason.
    #[error("cannot connect to {}", socket.display())]
    Connect {
        /// Path of the socket.
        socket: PathBuf,
        /// Error of connect(2).
        #[source]
        source: io::Error,
    },
    /// The listener runs as a user that is not trusted, see
    /// [`Trust`](super::Trust).
    #[error("who listens on {} runs as uid {uid}, which is not believed", socket.display())]
    Untrusted {
        /// Path of the socket.
        socket: PathBuf,
        /// Its user.
        uid: u32,
    },
    /// The daemon speaks another version of the API.
    #[error("the daemon speaks version {theirs} of the API, we speak {VERSION}")]
    Version {
        /// The version of the daemon.
        theirs: u32,
    },
    /// An answer did not arrive within the time-out.
    #[error("the daemon did not answer within {after:?}")]
    Late {
        /// The time-out.
        after: Duration,
    },
    /// The answer is no HTTP, or the connection broke.
    #[error("the daemon does not speak HTTP as it should")]
    Http(#[from] hyper::Error),
    /// The request cannot be written as HTTP.
    #[error("no request can be made of that")]
    Request(#[from] hyper::http::Error),
    /// The request cannot be written as a query.
    #[error("no query can be made of that")]
    Query(#[from] serde_urlencoded::ser::Error),
    /// The daemon refuses the request and gives the reason.
    #[error("the daemon refuses: {}", .0.detail)]
    Refused(Problem),
    /// The daemon refuses the request with a bare HTTP status.
    #[error("the daemon answers {status} to what it should know")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer has another media type.
    #[error("the daemon answers with '{actual}' instead of {expected}")]
    MediaType {
        /// The media type of the API.
        expected: &'static str,
        /// The media type of the answer.
        actual: String,
    },
    /// The answer, or one line of it, is longer than the client accepts.
    #[error("an answer of the daemon is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The answer is not the JSON of the API.
    #[error("an answer of the daemon makes no sense")]
    Json(#[from] serde_json::Error),
    /// A message is about a target that the request does not have.
    #[error("the daemon speaks of target {0}, which does not exist")]
    NoSuchTarget(u32),
    /// The connection was closed before the last message.
    #[error("the daemon went away")]
    Gone,
}

impl ClientError {
    /// Whether there is no daemon, or none that this user may use. A caller for
    /// which the daemon is optional goes on without it.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Forbidden { .. })
    }

    /// Whether the thing asked for does not exist, or the caller may not know it.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }

    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.hint.as_deref(),
            Self::Forbidden { .. } => Some("join the group of the socket, or run it as root"),
            Self::Absent { .. } => {
                Some("start one with `probe daemon`, or name its socket: --socket PATH")
            }
            Self::Untrusted { .. } => {
                Some("if that is your daemon's user, say so: PROBE_DAEMON_UID=UID")
            }
            _ => None,
        }
    }
}
