//! What the daemon and its clients say to each other: JSON over HTTP/1.1 on a
//! Unix socket.
//!
//! Plain data, the same for both sides, and the source of the OpenAPI document.
//! Fields may be added to an answer at any time; a request with a field that
//! this version does not know is refused, so that nobody waits for less than was
//! asked. [`info::Info::api`] tells which version speaks.

pub mod container;
pub mod info;
pub mod json;
mod outcome;
pub mod problem;
pub mod quantity;
pub mod query;
pub mod wait;

pub use outcome::Outcome;

/// Version of the API. A client leaves a daemon alone that speaks another one.
pub const VERSION: u32 = 1;

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/probe/probe.sock";

/// Media type of a stream with one JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";
