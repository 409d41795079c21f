//! Containers of several runtimes: right after the verdict of a wait, the cgroups are empty and
//! the runtime deletes the container.

mod container;
mod limits;
mod oci;
mod podman;

use std::process::Command;

use container::{Container, PROCESSES, Place};
use oci::{Oci, PureV2};
use podman::Podman;
use probe_tests::{Output, Waiting, requirements, scale};

/// A container runtime.
trait Runtime {
    fn name(&self) -> &'static str;
    fn place(&self) -> &Place;
    /// Starts a container; returns the pid of its init, or an error message.
    fn try_start(&self, name: &str) -> Result<u32, String>;
    fn kill(&self, name: &str);
    /// Deletes a container without force.
    fn delete(&self, name: &str) -> Result<(), String>;
    /// Removes what is left of a container.
    fn clean_up(&self, name: &str);
}

/// Removes the container of a failed round.
struct CleanUp<'a>(&'a dyn Runtime, &'a str);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        self.0.clean_up(self.1);
    }
}

fn name_of(label: &str, round: usize) -> String {
    format!("probe-test-{}-{label}-{round}", std::process::id())
}

/// Starts, kills and deletes containers: 4, or 100 with `--full`.
fn rounds(runtime: &dyn Runtime, label: &str) {
    for round in 0..scale::few_or(4, 100) {
        let name = name_of(label, round);
        let _clean_up = CleanUp(runtime, &name);
        let init = runtime.try_start(&name);
        let init = init.unwrap_or_else(|why| panic!("round {round}: {why}"));
        let container = Container::of(init, runtime.place());
        let waited = Waiting::args(&["--container", &name]);
        // In every other round a second wait has the cgroup as target, in each hierarchy in
        // turn. Its verdict is checked first.
        let index = (round / 2) % container.cgroups.len();
        let by_cgroup = (round % 2 == 1).then(|| {
            let path = container.cgroups[index].to_str().expect("UTF-8");
            let args = Waiting::args(&["--cgroup", path]);
            Waiting::armed_in(&mut runtime.place().probe(&args))
        });
        let by_name = Waiting::armed_in(&mut runtime.place().probe(&waited));
        runtime.kill(&name);
        if let Some(waiting) = by_cgroup {
            let output = waiting.finish();
            let left = container.procs(index);
            assert_eq!(output.code, Some(0), "round {round}: {output:#?}");
            assert!(left.is_empty(), "round {round}: {left:?} in {output:#?}");
        }
        let output = by_name.finish();
        // In the other rounds `delete` is the first action after the verdict.
        if round % 2 == 1 {
            let every = 0..container.cgroups.len();
            let left: Vec<_> = every.flat_map(|it| container.procs(it)).collect();
            assert!(left.is_empty(), "round {round}: {left:?} in {output:#?}");
        }
        let deleted = runtime.delete(&name);
        assert_eq!(output.code, Some(0), "round {round}: {output:#?}");
        assert_eq!(deleted, Ok(()), "round {round}: {output:#?}");
        assert_told(&output, container.init, runtime.name());
    }
}

fn assert_told(output: &Output, init: u32, runtime: &str) {
    let mut lines = output.json();
    let verdict = lines.pop().expect("a verdict");
    assert_eq!(verdict["outcome"], "done", "{output:#?}");
    let target = &verdict["targets"][0];
    assert_eq!(target["container"]["runtime"], runtime, "{output:#?}");
    if !requirements::has_bpf() {
        assert!(lines.is_empty(), "exits without BPF: {output:#?}");
        return;
    }
    // Newer kernels sometimes skip the program, and count that.
    let number = |name: &str| verdict[name].as_u64().expect("a number");
    let all = number("exits") + number("lost");
    assert!(all >= PROCESSES as u64, "{output:#?}");
    assert!(number("exits") <= PROCESSES as u64, "{output:#?}");
    let has_init = lines.iter().any(|it| it["pid"] == init);
    assert!(has_init || number("lost") > 0, "{output:#?}");
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

fn attempt(runtime: &dyn Runtime, label: &str) -> Result<(), String> {
    let name = name_of(label, usize::MAX);
    let _clean_up = CleanUp(runtime, &name);
    runtime.try_start(&name).map(|_init| ())
}

fn with_runc(has_own_pids: bool, label: &str) {
    if runs("runc", || Ok(())) {
        rounds(&Oci::new("runc", has_own_pids, Place::default()), label);
    }
}

#[test]
#[ignore = "needs root"]
fn runc_deletes_a_container_right_after_the_verdict() {
    with_runc(true, "runc");
}

/// See runc issue 4163: without a pid namespace, init may be reaped before other processes.
#[test]
#[ignore = "needs root"]
fn runc_deletes_a_container_in_the_host_pid_namespace_after_the_verdict() {
    with_runc(false, "runc-host");
}

#[test]
#[ignore = "needs root"]
fn crun_deletes_a_container_after_the_verdict_with_v2_alone() {
    let Some(view) = PureV2::new() else {
        return skip("crun", "no mount namespace with cgroup v2 alone");
    };
    for (has_own_pids, label) in [(true, "crun"), (false, "crun-host")] {
        let mut crun = None;
        let is_there = runs("crun", || {
            let runtime = crun.insert(Oci::new("crun", has_own_pids, view.place()));
            attempt(runtime, label)
        });
        if let Some(crun) = crun.filter(|_| is_there) {
            rounds(&crun, label);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn podman_removes_a_container_after_the_verdict() {
    let podman = Podman::new();
    if runs("podman", || attempt(&podman, "podman")) {
        rounds(&podman, "podman");
    }
}
