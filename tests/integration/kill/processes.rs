//! A single process, and never a later process with its pid.

use probe_tests::{ReusedPid, Stopped, Victim, is_alive, kernel, words};

use super::{assert_done, kill};

#[test]
#[ignore = "needs root"]
fn a_process_is_killed_and_another_signal_is_not_waited_for() {
    let mut victim = Victim::start(&["pause"], None);
    let pid = victim.pid().to_string();
    let output = kill(&format!("-s WINCH {pid}"));
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    assert!(is_alive(victim.pid()));
    assert_done(&kill(&pid));
    assert_eq!(victim.wait(), 9);
}

#[test]
#[ignore = "needs root"]
fn a_pid_with_another_inode_is_not_killed() {
    if !kernel::has_pidfd_inodes() {
        kernel::inapplicable("pidfds have no inode numbers of their own");
    }
    let victim = Victim::start(&["pause"], None);
    // No pidfd has the inode number 1, so this process does not exist.
    let gone = format!("{}:1", victim.pid());
    kill(&gone).assert_refused(4, &["is gone"]);
    kill(&format!("--missing ok {gone}")).verdict("already");
    assert!(is_alive(victim.pid()));
}

#[test]
#[ignore = "needs root"]
fn a_pid_reused_just_before_the_signal_gets_no_signal() {
    for backend in ["auto", "pidfd", "poll"] {
        let (mut replaced, pid) = ReusedPid::start();
        let line = format!("--backend {backend} {pid}");
        let args = [&["kill", "--json"], &words(&line)[..]].concat();
        let mut held = Stopped::at("pidfd_send_signal", &args);
        replaced.replace();
        held.resume();
        assert_done(&held.finish());
        assert!(is_alive(pid), "{backend}: the new process was killed");
        // A new kill means the new process.
        assert_done(&kill(&line));
        assert!(!is_alive(pid));
    }
}
