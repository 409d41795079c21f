//! Without the right to.

use std::process::Command;

use probe_tests::{Cgroup, Output, Victim, conditions, probe_in};

use super::{is_alive, verdict};

/// `probe kill --json` of a plain user.
fn kill(args: &[&str]) -> Output {
    let args = [&["kill", "--json"], args].concat();
    probe_in(&mut conditions::without_privilege(&args))
}

#[test]
#[ignore = "needs root"]
fn without_privilege_some_are_reached_and_the_others_named() {
    let cgroup = Cgroup::v2("partial");
    let roots = Victim::start(&["pause"], Some(&cgroup));
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--clear-groups",
        "sh",
        "-c",
        "read _; echo 1; read _",
    ]);
    let mut theirs = Victim::spawn_command(&mut command, Some(&cgroup));
    theirs.release();
    let _ready = theirs.report();
    let output = kill(&["--cgroup", cgroup.path()]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert_eq!(theirs.wait(), 9);
    assert!(is_alive(roots.pid()));
    let named = format!("{} victim: Operation not permitted", roots.pid());
    assert!(output.stderr.contains(&named), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
    let survivors = &verdict(&output)["survivors"];
    assert_eq!(survivors[0]["pid"], roots.pid(), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_process_of_somebody_else_is_named_with_the_reason() {
    let roots = Victim::start(&["pause"], None);
    let pid = roots.pid().to_string();
    for backend in ["auto", "pidfd", "poll"] {
        let output = kill(&["--backend", backend, &pid]);
        assert_eq!(output.code, Some(5), "{output:#?}");
        let named = format!("{pid} victim: Operation not permitted");
        assert!(output.stderr.contains(&named), "{output:#?}");
        assert!(output.stderr.contains("hint: "), "{output:#?}");
        assert_eq!(verdict(&output)["survivors"][0]["pid"], roots.pid());
        assert!(is_alive(roots.pid()));
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_of_somebody_else_is_emptied_at_most() {
    let cgroup = Cgroup::v2("roots");
    let output = kill(&["--rm", "--cgroup", cgroup.path()]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert_eq!(verdict(&output)["outcome"], "not_removed", "{output:#?}");
    assert!(output.stderr.contains("cannot remove"), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
}
