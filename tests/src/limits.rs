//! Limits of the test process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Allows this process as many descriptors as its hard limit permits.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit up to the hard limit may be set");
}
