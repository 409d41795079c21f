//! Threaded cgroups, which list threads instead of processes.

use probe_tests::{Cgroup, Victim, Waiting, probe, sorted_pids};

use super::{BACKENDS, wait};

/// A process in the first cgroup of which one thread is in the second.
fn process_with_a_thread_in(domain: &Cgroup, threaded: &Cgroup) -> (Victim, u32, String) {
    threaded.write("cgroup.type", "threaded");
    let (victim, pid) = Victim::ready(&["crowd", "1", "3", "0"], domain);
    let tid = victim.other_tid();
    threaded.write("cgroup.threads", &tid);
    (victim, pid, tid)
}

#[test]
#[ignore = "needs root"]
fn a_threaded_cgroup_has_the_processes_of_its_threads() {
    let domain = Cgroup::v2("threads");
    let threaded = domain.sub("threaded");
    let (_victim, pid, _) = process_with_a_thread_in(&domain, &threaded);
    for path in [domain.path(), threaded.path()] {
        for until in ["empty", "exited", "reaped"] {
            let output = wait(&["-t", "0", "--until", until, "--cgroup", path]);
            let verdict = output.verdict("timeout");
            assert_eq!(sorted_pids(&verdict["survivors"]), [pid], "{output:#?}");
        }
        let output = probe(&["ps", "--json", "--cgroup", path]);
        assert_eq!(output.json()[0]["pid"], pid, "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_whose_thread_leaves_a_threaded_cgroup_has_not_exited() {
    for backend in BACKENDS {
        let domain = Cgroup::v2("threads");
        let threaded = domain.sub("threaded");
        let (mut victim, _, tid) = process_with_a_thread_in(&domain, &threaded);
        let target = ["--cgroup", threaded.path(), "--backend", backend];
        let armed = |until| Waiting::armed(&[&["--until", until], &target[..]].concat());
        let [empty, exited, reaped] = ["empty", "exited", "reaped"].map(armed);
        domain.write("cgroup.threads", &tid);
        empty.finish().verdict("done");
        exited.assert_running();
        reaped.assert_running();
        domain.kill();
        exited.finish().verdict("done");
        assert_eq!(victim.wait(), 9);
        reaped.finish().verdict("done");
    }
}
