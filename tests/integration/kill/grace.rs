//! `--grace`: SIGTERM, and SIGKILL after the grace period.

use probe_tests::Cgroup;

use super::{assert_done, kill, shell, verdict};

#[test]
#[ignore = "needs root"]
fn sigkill_follows_when_the_grace_period_ends() {
    let cgroup = Cgroup::v2("grace");
    let mut stubborn = shell("trap '' TERM; echo 1; while :; do read _; done", &cgroup);
    assert_done(&kill(&["--grace", "50ms", "--cgroup", cgroup.path()]));
    assert_eq!(stubborn.wait(), 9);

    let mut polite = shell("trap 'exit 7' TERM; echo 1; read _; exit 8", &cgroup);
    assert_done(&kill(&["--grace", "60", "--cgroup", cgroup.path()]));
    assert_eq!(polite.wait(), 7 << 8);
}

#[test]
#[ignore = "needs root"]
fn a_timeout_includes_the_grace_period() {
    let cgroup = Cgroup::v2("time");
    let _stubborn = shell("trap '' TERM; echo 1; while :; do read _; done", &cgroup);
    let args = ["--grace", "60", "-t", "50ms", "--cgroup", cgroup.path()];
    let output = kill(&args);
    assert_eq!(output.code, Some(3), "{output:#?}");
    assert_eq!(verdict(&output)["outcome"], "timeout");
    cgroup.kill();
}
