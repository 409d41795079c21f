//! The wire format: JSON over HTTP/1.1 on a Unix socket between the daemon and its
//! clients, and the JSON lines of the command.
//!
//! The types are plain data that daemon and client share, and the source of the OpenAPI
//! document. Fields may be added to an answer at any time. A request with a field that
//! this version does not know is refused, because a daemon that ignored the field would
//! do something else than the client asked for. [`info::Info::api`] is the version of
//! the daemon.

pub mod container;
pub mod info;
pub mod json;
pub mod moment;
mod outcome;
pub mod problem;
pub mod quantity;
pub mod query;
pub mod wait;

pub use outcome::Outcome;

/// Version of the API. A client does not use a daemon of another version.
pub const VERSION: u32 = 1;

/// Default path of the daemon's socket.
pub const DEFAULT_SOCKET: &str = "/run/probe/probe.sock";

/// Media type of a stream with one JSON object per line.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Header of `/v1/exits`: `RUNTIME/ID` of the container of which the answer has the exits.
pub const CONTAINER: &str = "probe-container";
/// Header of `/v1/exits`: number of older containers with the name, which are left out.
pub const OTHER_CONTAINERS: &str = "probe-other-containers";
