//! A socket that the members of a group may connect to.

use std::{io::ErrorKind, process::Command};

use probe_tests::{
    Cgroup, Daemon, Victim, Waiting, as_user, as_user_in_group, conditions, http, probe_in,
};
use serde_json::json;

use super::{
    text,
    visibility::{STRANGER, die},
};

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

    let cgroup = Cgroup::v2("group");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let by = [
        "--backend",
        "daemon",
        "--socket",
        text(socket),
        "--cgroup",
        cgroup.path(),
    ];
    let args = Waiting::args(&by);
    let probe = conditions::unrestricted(&args);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "4343", "--regid", "4242", "--clear-groups"]);
    command.arg(probe.get_program()).args(probe.get_args());
    let waiting = Waiting::armed_in(&mut command);
    let refused = probe_in(&mut conditions::without_privilege(&args));
    assert_eq!(refused.code, Some(5), "{refused:#?}");
    assert_eq!(refused.stdout, "", "{refused:#?}");
    let auto = [
        "wait",
        "--json",
        "--socket",
        text(socket),
        "--cgroup",
        cgroup.path(),
    ];
    let auto = [&auto[..], &["-t", "0"]].concat();
    let output = probe_in(&mut conditions::without_privilege(&auto));
    let verdict = output.json().pop().expect("a verdict");
    assert_eq!(
        (&verdict["outcome"], output.code),
        (&json!("timeout"), Some(3))
    );
    assert_ne!(verdict["backend"], "daemon", "{verdict}");
    die(&mut victim);
    let output = waiting.finish();
    let verdict = output.json().pop().expect("a verdict");
    assert_eq!(
        (&verdict["outcome"], &verdict["backends"]),
        (&json!("done"), &json!(["daemon"])),
        "{output:#?}"
    );
}
