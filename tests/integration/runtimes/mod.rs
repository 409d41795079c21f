//! Containers of runc and crun on any kernel. `tests/engines` has the other engines.

mod limits;

use std::process::Command;

use probe_tests::{
    engine::{Oci, Pids, Place, rounds},
    requirements, scale,
};

/// Runs 4 rounds with a runtime and each kind of pid namespace, or 100 with `--full`.
fn with(program: &'static str, place: &Place) {
    for pids in [Pids::Own, Pids::Host] {
        let is_there = runs(program, || {
            let runtime = Oci::new(program, pids, place.clone());
            let results = rounds(&runtime, scale::few_or(4, 100))?;
            assert!(results.faults.is_empty(), "{pids:?}: {results:#?}");
            assert_eq!(results.late, 0, "{program} deletes the container at once");
            Ok(())
        });
        if !is_there {
            return;
        }
    }
}

/// Prints that a runtime is not tested, so that it does not look as if it had passed.
fn skip(runtime: &str, why: &str) {
    requirements::not_tested(&format!(
        "{runtime} does not run on this machine: {}",
        why.trim()
    ));
}

/// Whether a runtime is installed and a container of it starts.
fn runs(program: &str, attempt: impl FnOnce() -> Result<(), String>) -> bool {
    let version = Command::new(program).arg("--version").output();
    let tried = match version {
        Ok(_) => attempt(),
        Err(error) => Err(format!("{error}: install the package {program}")),
    };
    tried.inspect_err(|why| skip(program, why)).is_ok()
}

/// See runc issue 4163: without a pid namespace, init may be reaped before other processes.
#[test]
#[ignore = "needs root"]
fn runc_deletes_a_container_right_after_the_verdict() {
    with("runc", &Place::default());
}

#[test]
#[ignore = "needs root"]
fn crun_deletes_a_container_after_the_verdict_with_v2_alone() {
    match Place::pure_v2() {
        Some(place) => with("crun", &place),
        None => skip("crun", "no mount namespace with cgroup v2 alone"),
    }
}
