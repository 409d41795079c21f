//! `probe` with real container engines: each of them in its own pid namespace and in that of
//! the host, with the cgroups of this machine and with v2 alone.
//!
//! `cargo xtask engines` unpacks the engines and runs this; `docs/engines.md` has the results.

#![expect(
    clippy::print_stdout,
    reason = "the harness shows the rows of failed tests"
)]

/// The tests of an engine, which `start` starts in a place.
macro_rules! cells {
    ($name:literal, $start:expr) => {
        #[test]
        #[ignore = "needs root"]
        fn own_pids_on_this_machine() {
            crate::cell::Cell::new($name, Pids::Own, View::Machine).check($start);
        }

        #[test]
        #[ignore = "needs root"]
        fn host_pids_on_this_machine() {
            crate::cell::Cell::new($name, Pids::Host, View::Machine).check($start);
        }

        #[test]
        #[ignore = "needs root"]
        fn own_pids_with_v2_alone() {
            crate::cell::Cell::new($name, Pids::Own, View::V2).check($start);
        }

        #[test]
        #[ignore = "needs root"]
        fn host_pids_with_v2_alone() {
            crate::cell::Cell::new($name, Pids::Host, View::V2).check($start);
        }
    };
}

mod cell;
mod containerd;
mod crun;
mod docker;
mod image;
mod lxc;
mod nspawn;
mod podman;
mod rootless;
mod runc;
mod systemd;
mod table;
