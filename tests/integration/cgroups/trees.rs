//! Trees that are deeper than the limits of paths and descriptors.

use std::{os::fd::AsFd, path::Path, process::Command};

use probe_tests::{Cgroup, Output, Victim, conditions, probe_in, sorted_pids};
use rustix::{
    fs::{CWD, Mode, OFlags, mkdirat, openat},
    io::write,
};

/// The kernel makes 1,200 levels of v2 in half a second.
const DEPTH: usize = 300;
const NAME: &str = "a-name-of-twenty-bytes-";

/// Runs `probe` with this limit of descriptors.
fn limited(descriptors: u32, args: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    let probe = conditions::unrestricted(args);
    shell.args([
        "-c",
        "ulimit -n $0 && exec \"$@\"",
        &descriptors.to_string(),
    ]);
    probe_in(shell.arg(probe.get_program()).args(probe.get_args()))
}

#[test]
#[ignore = "needs root"]
fn a_process_deep_below_a_cgroup_is_found_and_killed_with_few_descriptors() {
    const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
    for cgroup in Cgroup::both("deep") {
        let top = cgroup.sub("top");
        let mut victim = Victim::paused(&top);
        let mut directory = openat(CWD, top.path(), DIRECTORY, Mode::empty()).expect("our own");
        for _ in 0..DEPTH {
            mkdirat(directory.as_fd(), NAME, Mode::RWXU).expect("root may do this");
            directory = openat(&directory, NAME, DIRECTORY, Mode::empty()).expect("our own");
        }
        let procs = openat(&directory, "cgroup.procs", OFlags::WRONLY, Mode::empty());
        let procs = procs.expect("a cgroup has this file");
        write(procs, victim.pid().to_string().as_bytes()).expect("it lives");
        for until in ["empty", "exited", "reaped"] {
            for backend in ["pidfd", "poll"] {
                let args = ["wait", "--json", "-t", "0", "--until", until];
                let target = ["--backend", backend, "--cgroup", top.path()];
                let output = limited(48, &[&args[..], &target].concat());
                let verdict = output.verdict("timeout");
                assert_eq!(sorted_pids(&verdict["survivors"]), [victim.pid()]);
            }
        }
        let output = limited(48, &["kill", "--json", "--rm", "--cgroup", top.path()]);
        output.verdict("done");
        assert_eq!(victim.wait(), 9);
        assert!(!Path::new(top.path()).exists());
    }
}
