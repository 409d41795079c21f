//! `probe kill` without privilege.

use std::process::Command;

use probe_tests::{Cgroup, Output, Victim, conditions, probe_in};

use super::{is_alive, verdict};

/// `probe kill --json` as an unprivileged user.
fn kill(args: &[&str]) -> Output {
    let args = [&["kill", "--json"], args].concat();
    probe_in(&mut conditions::without_privilege(&args))
}

#[test]
#[ignore = "needs root"]
fn an_unprivileged_kill_signals_its_own_processes_and_names_the_others() {
    let cgroup = Cgroup::v2("partial");
    let of_root = Victim::start(&["pause"], Some(&cgroup));
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--clear-groups",
        "sh",
        "-c",
        "read _; echo 1; read _",
    ]);
    let mut of_nobody = Victim::spawn_command(&mut command, Some(&cgroup));
    of_nobody.release();
    let _ready = of_nobody.report();
    let output = kill(&["--cgroup", cgroup.path()]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert_eq!(of_nobody.wait(), 9);
    assert!(is_alive(of_root.pid()));
    let named = format!("{} victim: Operation not permitted", of_root.pid());
    assert!(output.stderr.contains(&named), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
    let survivors = &verdict(&output)["survivors"];
    assert_eq!(survivors[0]["pid"], of_root.pid(), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_process_of_another_user_is_named_with_the_reason() {
    let of_root = Victim::start(&["pause"], None);
    let pid = of_root.pid().to_string();
    for backend in ["auto", "pidfd", "poll"] {
        let output = kill(&["--backend", backend, &pid]);
        assert_eq!(output.code, Some(5), "{output:#?}");
        let named = format!("{pid} victim: Operation not permitted");
        assert!(output.stderr.contains(&named), "{output:#?}");
        assert!(output.stderr.contains("hint: "), "{output:#?}");
        assert_eq!(verdict(&output)["survivors"][0]["pid"], of_root.pid());
        assert!(is_alive(of_root.pid()));
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_of_another_user_is_not_removed() {
    let cgroup = Cgroup::v2("roots");
    let output = kill(&["--rm", "--cgroup", cgroup.path()]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert_eq!(verdict(&output)["outcome"], "not_removed", "{output:#?}");
    assert!(output.stderr.contains("cannot remove"), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
}
