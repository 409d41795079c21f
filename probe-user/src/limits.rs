//! Raises the limit of file descriptors of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// Raises the soft limit of file descriptors to the hard limit, which needs no privilege, and
/// returns the limit. A wait for processes holds a descriptor for each of them, and the usual
/// soft limit of 1,024 exists for programs that call `select`.
pub fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    if let Err(errno) = raised {
        debug!(%errno, "cannot raise the limit of file descriptors");
        return limit.current.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}
