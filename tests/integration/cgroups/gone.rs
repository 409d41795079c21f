//! Cgroups that are gone with their parents, or that go while `probe` starts.

use std::fs;

use probe_tests::{Cgroup, Stopped, Victim, has_v1, probe, requirements};

use super::wait;

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_is_gone_with_its_parent_is_done_and_the_first_missing_directory_is_named() {
    let parent = Cgroup::v2("parent");
    let target = format!("{}/slice/pod/container", parent.path());
    let relative = format!("{}/slice/pod/container", parent.name());
    let missing = format!("{}/slice does not exist", parent.path());
    for name in [&target, &relative, &relative[1..].to_owned()] {
        for until in ["empty", "exited", "reaped", "removed"] {
            let output = wait(&["--until", until, "--cgroup", name]);
            output.verdict("already");
            assert!(output.stderr.contains(&missing), "{output:#?}");
        }
        let killed = probe(&["kill", "--json", "--missing", "ok", "--cgroup", name]);
        killed.verdict("already");
        probe(&["kill", "--cgroup", name]).assert_refused(4, &[&missing]);
        wait(&["--must-exist", "--cgroup", name]).assert_refused(4, &[&missing]);
    }
    let direct = format!("{}/gone", parent.path());
    let output = wait(&["--cgroup", &direct]);
    let missing = format!("{direct} does not exist");
    assert!(output.stderr.contains(&missing), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_path_beside_the_hierarchies_is_no_cgroup_that_is_gone() {
    let cgroup = Cgroup::v2("beside");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let mut paths = vec!["/proc/no/such".to_owned(), "/etc".to_owned()];
    if has_v1("pids") {
        // The user forgot the directory of the hierarchy.
        let mount = cgroup.path().strip_suffix(cgroup.name()).expect("a mount");
        let above = mount.rsplit_once('/').expect("a directory").0;
        paths.push(format!("{above}{}", cgroup.name()));
        paths.push(format!("{above}/no-such-hierarchy{}", cgroup.name()));
    }
    for path in paths {
        let words = ["not on a cgroup mount", "the v2 hierarchy is mounted on"];
        wait(&["-t", "1", "--cgroup", &path]).assert_refused(4, &words);
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_goes_while_bpf_loads_is_done() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("goes");
    let below = cgroup.sub("below");
    let mut victim = Victim::paused(&below);
    let args = [
        "wait",
        "--json",
        "--backend",
        "bpf",
        "--cgroup",
        below.path(),
    ];
    let mut stopped = Stopped::at("bpf", &args);
    victim.kill();
    below.wait_empty();
    fs::remove_dir(below.path()).expect("the cgroup is empty");
    stopped.resume();
    let output = stopped.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
}
