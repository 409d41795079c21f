//! `--grace`: SIGTERM, and SIGKILL after the grace period.

use probe_tests::Cgroup;

use super::{assert_done, kill_cgroup, shell};

#[test]
#[ignore = "needs root"]
fn sigkill_follows_when_the_grace_period_ends() {
    let cgroup = Cgroup::v2("grace");
    let mut stubborn = shell("trap '' TERM; echo 1; while :; do read _; done", &cgroup);
    assert_done(&kill_cgroup(&cgroup, "--grace 50ms"));
    assert_eq!(stubborn.wait(), 9);

    let mut polite = shell("trap 'exit 7' TERM; echo 1; read _; exit 8", &cgroup);
    assert_done(&kill_cgroup(&cgroup, "--grace 60"));
    assert_eq!(polite.wait(), 7 << 8);
}

#[test]
#[ignore = "needs root"]
fn a_timeout_includes_the_grace_period() {
    let cgroup = Cgroup::v2("time");
    let _stubborn = shell("trap '' TERM; echo 1; while :; do read _; done", &cgroup);
    kill_cgroup(&cgroup, "--grace 60 -t 50ms").verdict("timeout");
    cgroup.kill();
}
