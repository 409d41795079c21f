//! Containers that their engine starts again after a kill.

use std::process::Command;

use probe_tests::{Cgroup, Victim, conditions, probe_in};

/// Mounts an empty `/var/lib`, writes Docker's state of the container `$1` with the restart policy
/// `$2`, and runs the other arguments.
const WITH_DOCKER: &str = r#"
set -e
mount -t tmpfs tmpfs /var/lib
state=/var/lib/docker/containers/$1
mkdir -p "$state"
echo '{"ID": "'"$1"'", "Name": "/web", "State": {"Pid": 1}}' > "$state/config.v2.json"
echo '{"RestartPolicy": {"Name": "'"$2"'", "MaximumRetryCount": 0}}' > "$state/hostconfig.json"
shift 2
exec "$@"
"#;

#[test]
#[ignore = "needs root"]
fn a_kill_tells_that_docker_starts_the_container_again() {
    for (policy, is_told) in [("always", true), ("unless-stopped", true), ("no", false)] {
        let parent = Cgroup::v2("restart");
        let id = format!("{:064x}", parent.id());
        let cgroup = parent.sub(&format!("docker-{id}.scope"));
        let _victim = Victim::ready(&["crowd", "1", "1", "0"], &cgroup);
        let probe = conditions::unrestricted(&["kill", "-t", "30", "--container", &id]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", WITH_DOCKER, "sh", &id, policy]);
        command.arg(probe.get_program()).args(probe.get_args());
        let output = probe_in(&mut command);
        assert_eq!(output.code, Some(0), "{output:#?}");
        let told = format!("Docker starts web again: its restart policy is {policy}\nhint: ");
        assert_eq!(output.stderr.contains(&told), is_told, "{output:#?}");
    }
}
