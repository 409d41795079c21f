//! A socket that the members of a group may connect to.

use std::io::ErrorKind;

use probe_tests::{
    Daemon, Victim, Waiting, as_user, as_user_in_group, assert_fields, conditions, http, run_in,
    started_by, words,
};
use serde_json::json;

use super::{text, visibility::STRANGER};

#[test]
#[ignore = "needs root"]
fn members_of_the_socket_group_wait_for_cgroups_of_root_and_others_are_refused() {
    let daemon = Daemon::start(&["--group", "4242", "--mode", "0660"]);
    let socket = daemon.socket();
    let health = || {
        let stream = http::connect(socket)?;
        drop(stream);
        Ok::<_, std::io::Error>(http::send(socket, "GET", "/healthz", None).status)
    };
    let member = as_user_in_group(STRANGER, 4242, health);
    assert_eq!(member.expect("the member may connect"), 200);
    let outsider = as_user(STRANGER, health).expect_err("the user is not a member");
    assert_eq!(outsider.kind(), ErrorKind::PermissionDenied);

    let (cgroup, mut victim) = Victim::in_v2("group");
    let target = format!("--socket {} --cgroup {}", text(socket), cgroup.path());
    let required = format!("--backend daemon {target}");
    let member = words("setpriv --reuid 4343 --regid 4242 --clear-groups");
    let waiting = Waiting::armed_under(|args| started_by(&member, args), &required);
    let outside = |line: &str| run_in(conditions::without_privilege, line);
    outside(&format!("wait --json -v {required}")).assert_refused(5, &[]);
    let verdict = outside(&format!("wait --json {target} -t 0")).verdict("timeout");
    assert_ne!(verdict["backend"], "daemon", "{verdict}");
    victim.kill();
    let verdict = waiting.finish().verdict("done");
    assert_fields(&verdict, &json!({"backends": ["daemon"]}));
}
