//! A client that ignores every wake-up source but the daemon.

use probe_tests::{Cgroup, Daemon, Victim, Waiting, conditions};

use super::backends;

#[test]
#[ignore = "needs root"]
fn an_unprivileged_client_is_woken_by_the_daemon_alone() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    for cgroup in [Cgroup::v2("alone"), Cgroup::v1("pids", "alone")] {
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let socket = daemon.socket().to_str().expect("UTF-8");
        let args = ["--deaf", "--socket", socket];
        let args = [&args[..], &["--cgroup", cgroup.path()]].concat();
        let waiting = Waiting::armed_in(&mut conditions::without_privilege(&Waiting::args(&args)));
        cgroup.kill();
        victim.wait();
        let verdict = waiting.finish().verdict("done");
        assert_eq!(verdict["woken_by"], "daemon", "{verdict}");
        assert_eq!(backends(&verdict).last(), Some(&"daemon"), "{verdict}");
    }
}
