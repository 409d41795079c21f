//! Containers that their engine starts again after a kill.

use std::process::Command;

use probe_tests::{Cgroup, Victim, conditions, probe_in};

/// Mounts an empty `/var/lib`, writes Docker's state of the container `$1` with the restart policy
/// `$2`, which was stopped by hand or not (`$3`), and runs the other arguments.
const WITH_DOCKER: &str = r#"
set -e
mount -t tmpfs tmpfs /var/lib
state=/var/lib/docker/containers/$1
mkdir -p "$state"
echo '{"Name": "/web", "State": {"Pid": 1}, "RestartCount": 1, "HasBeenManuallyStopped": '"$3"'}' \
    > "$state/config.v2.json"
echo '{"RestartPolicy": {"Name": "'"$2"'", "MaximumRetryCount": 1}}' > "$state/hostconfig.json"
shift 3
exec "$@"
"#;

#[test]
#[ignore = "needs root"]
fn a_kill_tells_that_docker_starts_the_container_again() {
    for (policy, was_stopped, is_told) in [
        ("always", "false", true),
        ("unless-stopped", "false", true),
        ("always", "true", false),
        // Docker has used up the one retry.
        ("on-failure", "false", false),
        ("no", "false", false),
    ] {
        let parent = Cgroup::v2("restart");
        let id = format!("{:064x}", parent.id());
        let cgroup = parent.sub(&format!("docker-{id}.scope"));
        let _victim = Victim::ready(&["crowd", "1", "1", "0"], &cgroup);
        let probe = conditions::unrestricted(&["kill", "-t", "30", "--container", &id]);
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            WITH_DOCKER,
            "sh",
            &id,
            policy,
            was_stopped,
        ]);
        command.arg(probe.get_program()).args(probe.get_args());
        let output = probe_in(&mut command);
        assert_eq!(output.code, Some(0), "{output:#?}");
        let told =
            format!("Docker starts web again when it ends: its restart policy is {policy}\nhint: ");
        assert_eq!(output.stderr.contains(&told), is_told, "{output:#?}");
    }
}
