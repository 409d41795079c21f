//! Cgroups with unusual names, types, mounts, depths and pasts.

mod gone;
mod hidden;
mod names;
mod reused;
mod threaded;
mod trees;

use probe_tests::{Output, probe};

/// Every backend without a daemon that needs no privilege of its own.
const BACKENDS: [&str; 2] = ["pidfd", "poll"];

fn wait(args: &[&str]) -> Output {
    probe(&[&["wait", "--json"], args].concat())
}
