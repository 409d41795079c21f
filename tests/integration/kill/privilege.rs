//! `probe kill` without privilege.

use std::process::Command;

use probe_tests::{Cgroup, Output, Victim, conditions, is_alive, run_in};

use super::{line, verdict};

/// Runs this line as an unprivileged user. The kill must fail with these words and a hint.
fn kill(line: &str, words: &str) -> Output {
    let output = run_in(conditions::without_privilege, line);
    output.assert_ended(5, &[words, "hint: "]);
    output
}

#[test]
#[ignore = "needs root"]
fn an_unprivileged_kill_signals_its_own_processes_and_names_the_others() {
    let (cgroup, of_root) = Victim::in_v2("partial");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", "sh"]);
    command.args(["-c", "read _; echo 1; read _"]);
    let mut of_nobody = Victim::spawn_command(&mut command, Some(&cgroup));
    of_nobody.release();
    let _ready = of_nobody.report();
    let named = format!("{} victim: Operation not permitted", of_root.pid());
    let output = kill(&line(&cgroup, ""), &named);
    assert_eq!(of_nobody.wait(), 9);
    assert!(is_alive(of_root.pid()));
    let survivors = &verdict(&output)["survivors"];
    assert_eq!(survivors[0]["pid"], of_root.pid(), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_process_of_another_user_is_named_with_the_reason() {
    let of_root = Victim::start(&["pause"], None);
    let pid = of_root.pid();
    let named = format!("{pid} victim: Operation not permitted");
    for backend in ["auto", "pidfd", "poll"] {
        let output = kill(&format!("kill --json --backend {backend} {pid}"), &named);
        assert_eq!(verdict(&output)["survivors"][0]["pid"], pid);
        assert!(is_alive(pid));
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_of_another_user_is_not_removed() {
    let cgroup = Cgroup::v2("roots");
    let output = kill(&line(&cgroup, "--rm"), "cannot remove");
    assert_eq!(verdict(&output)["outcome"], "not_removed", "{output:#?}");
}
