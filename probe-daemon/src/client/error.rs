//! Everything that a daemon can do wrong, and everything that keeps us from it.

use std::{io, path::PathBuf, time::Duration};

use crate::api::{VERSION, problem::Problem};

/// Why the daemon is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no probe daemon listens on {}", socket.display())]
    Absent {
        /// Where.
        socket: PathBuf,
        /// What connect(2) said.
        #[source]
        source: io::Error,
    },
    /// We may not speak with it.
    #[error("the socket {} may not be used by this user", socket.display())]
    Forbidden {
        /// Which.
        socket: PathBuf,
        /// What connect(2) said.
        #[source]
        source: io::Error,
    },
    /// It could not be connected to for another reason.
    #[error("cannot connect to {}", socket.display())]
    Connect {
        /// Which socket.
        socket: PathBuf,
        /// What connect(2) said.
        #[source]
        source: io::Error,
    },
    /// Anybody may listen on a socket that he made: this one is not believed.
    #[error("who listens on {} runs as uid {uid}, which is not believed", socket.display())]
    Stranger {
        /// Which socket.
        socket: PathBuf,
        /// Whose.
        uid: u32,
    },
    /// Another version of the API.
    #[error("the daemon speaks version {theirs} of the API, we speak {VERSION}")]
    Version {
        /// Which.
        theirs: u32,
    },
    /// An answer that should be prompt was not.
    #[error("the daemon did not answer within {after:?}")]
    Late {
        /// How long we waited.
        after: Duration,
    },
    /// It speaks no HTTP, or stopped in the middle of an answer.
    #[error("the daemon does not speak HTTP as it should")]
    Http(#[from] hyper::Error),
    /// What we would ask cannot be said in HTTP.
    #[error("no request can be made of that")]
    Request(#[from] hyper::http::Error),
    /// What we would ask cannot be said in a query.
    #[error("no query can be made of that")]
    Query(#[from] serde_urlencoded::ser::Error),
    /// It does not do what we ask for, and says why.
    #[error("the daemon refuses: {}", .0.detail)]
    Refused(Problem),
    /// It does not do what we ask for.
    #[error("the daemon answers {status} to what it should know")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is of another kind.
    #[error("the daemon answers with '{actual}' instead of {expected}")]
    MediaType {
        /// What it should have been.
        expected: &'static str,
        /// What it is.
        actual: String,
    },
    /// More than any answer can have.
    #[error("an answer of the daemon is longer than {limit} bytes")]
    TooLong {
        /// What it may have.
        limit: usize,
    },
    /// The answer is not what the API says.
    #[error("an answer of the daemon makes no sense")]
    Json(#[from] serde_json::Error),
    /// It speaks of a target that nobody named.
    #[error("the daemon speaks of target {0}, which does not exist")]
    NoSuchTarget(u32),
    /// It closed the connection though it had more to say.
    #[error("the daemon went away")]
    Gone,
}

impl ClientError {
    /// Whether there is no daemon, or none for us: where one is optional, that is
    /// nothing to worry about.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Forbidden { .. })
    }

    /// Whether what we asked about does not exist, as far as we may know.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }

    /// What the daemon says can be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.hint.as_deref(),
            Self::Forbidden { .. } => Some("join the group of the socket, or run it as root"),
            Self::Absent { .. } => {
                Some("start one with `probe daemon`, or name its socket: --socket PATH")
            }
            Self::Stranger { .. } => {
                Some("if that is your daemon's user, say so: PROBE_DAEMON_UID=UID")
            }
            _ => None,
        }
    }
}
