//! The stream of exit records, with the cgroup and container of each.

mod exit_stream;
pub mod lookup;
pub mod reader;
pub mod tracker;

pub use exit_stream::{ExitStream, OpenError};
pub use reader::StreamError;
