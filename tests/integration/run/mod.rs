//! `probe run`: exit codes, signals, what is left of a command, and cleaning up.

mod clean;
mod codes;
mod fork_bomb;
mod leftovers;
mod report;
mod signals;
mod terminal;
mod timeout;
mod trees;
mod unprivileged;

use std::{fs, os::unix::fs::chown, path::PathBuf, process::Command};

use probe_tests::{Cgroup, Output, conditions, probe};
use probe_user::unstable::{
    cgroup::{mounts::Mounts, pinned::PinnedCgroup},
    run::{RunName, stale},
};

/// The uid of a user without rights.
const UNPRIVILEGED: u32 = 65534;

/// Runs `probe run` with these arguments until it ends.
fn run(args: &[&str]) -> Output {
    probe(&[&["run"], args].concat())
}

/// Runs a script for `sh` by `probe run` with options.
fn run_script(options: &[&str], script: &str) -> Output {
    run(&[options, &["--", "sh", "-c", script]].concat())
}

/// The pids of the processes with a word in their command line, without zombies and without this
/// test and `probe`.
fn descendants_of(word: &str) -> Vec<u32> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is mounted").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = words.split(|&byte| byte == 0);
        if words.any(|it| it == word.as_bytes()) && pid != std::process::id() {
            pids.push(pid);
        }
    }
    pids
}

/// The directories of the cgroups of runs that are over.
fn stale_cgroups() -> Vec<PathBuf> {
    let mounts = Mounts::read().expect("/proc is mounted");
    let mount = mounts.of_hierarchy(0).expect("cgroup v2 is mounted");
    let mut found = stale::find(mount).expect("root may list all cgroups");
    found.retain(|it| PinnedCgroup::open(mount, it).is_ok_and(|it| stale::is_over(&it)));
    found
}

/// Asserts that no cgroup of a run is left.
#[track_caller]
fn assert_no_trace_of(run: &str) {
    let found = stale_cgroups();
    if !found.is_empty() {
        // Later tests are to find nothing.
        let _cleaned = probe(&["run", "--clean"]);
    }
    assert_eq!(found, Vec::<PathBuf>::new(), "{run}");
}

/// The cgroup of the run of a living `probe` below a parent.
fn cgroup_of(probe: u32) -> PathBuf {
    let mounts = Mounts::read().expect("/proc is mounted");
    let mount = mounts.of_hierarchy(0).expect("cgroup v2 is mounted");
    let found = stale::find(mount).expect("root may list all cgroups");
    let is_of = |it: &PathBuf| {
        let name = it.file_name().and_then(RunName::parse);
        name.is_some_and(|it| it.pid == probe)
    };
    let mut found = found.into_iter().filter(is_of);
    found.next().expect("the run has a cgroup")
}

/// A cgroup that belongs to that user, as systemd delegates one to a user.
struct Delegated {
    cgroup: Cgroup,
}

impl Delegated {
    fn make(label: &str) -> Self {
        let cgroup = Cgroup::v2(label);
        let own = |path: PathBuf| {
            chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).expect("root may");
        };
        own(cgroup.path().into());
        for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            own(cgroup.file(file));
        }
        Self { cgroup }
    }

    /// The command that runs `probe` as that user in the cgroup.
    fn probe(&self, args: &[&str]) -> Command {
        // Only one process may be in the cgroup to which children are to be added, so the shell
        // becomes `probe`.
        let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", self.cgroup.path());
        let probe = conditions::without_privilege(args);
        let mut shell = Command::new("sh");
        shell.args(["-c", &enter, "sh"]);
        shell.arg(probe.get_program()).args(probe.get_args());
        shell
    }
}
