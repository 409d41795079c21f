//! The examples of the library, run unchanged.

#[expect(unreachable_pub, reason = "an example is written as a program")]
#[path = "../../../probe-user/examples/remove_cgroup.rs"]
mod remove_cgroup;
#[expect(unreachable_pub, reason = "an example is written as a program")]
#[path = "../../../probe-user/examples/stream_exits.rs"]
mod stream_exits;
#[expect(unreachable_pub, reason = "an example is written as a program")]
#[path = "../../../probe-user/examples/wait_for_process.rs"]
mod wait_for_process;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use probe_tests::{Cgroup, DEADLINE, Victim, inapplicable, requirements};
use probe_user::model::Record;

use super::{block_on, in_time};

#[test]
#[ignore = "needs root"]
fn the_example_remove_cgroup_kills_and_removes() {
    let cgroup = Cgroup::v2("example");
    if !cgroup.has_kill() {
        inapplicable("this kernel has no cgroup.kill");
    }
    let mut victims = [(); 5].map(|()| Victim::paused(&cgroup));
    let path = Path::new(cgroup.path());
    let removed = block_on(in_time(remove_cgroup::remove(path)));
    removed.expect("the cgroup is removed");
    assert!(!path.exists());
    assert_eq!(victims.each_mut().map(Victim::wait), [9; 5]);
}

#[test]
#[ignore = "needs root"]
fn the_example_wait_for_process_returns_when_the_process_is_reaped() {
    let mut victim = Victim::spawn(&["pause"], None);
    let pid = victim.pid();
    let reaper = thread::spawn(move || victim.kill());
    match block_on(in_time(wait_for_process::reaped(pid))) {
        Ok(()) => {}
        // The reaper may be faster than the wait.
        Err(error) => assert_eq!(error.to_string(), format!("no process {pid}")),
    }
    assert_eq!(reaper.join().expect("the thread does not panic"), 9);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
#[ignore = "needs root"]
fn the_example_stream_exits_reports_an_exit_of_the_cgroup() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("example-exits");
    let done = AtomicBool::new(false);
    let reported = thread::scope(|scope| {
        // The stream reports only exits after its programs are attached.
        let dying = scope.spawn(|| {
            let mut pids = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let mut victim = Victim::paused(&cgroup);
                pids.push(victim.pid());
                assert_eq!(victim.kill(), 9);
            }
            pids
        });
        let mut reported = None;
        let streamed = block_on(async {
            let path = Path::new(cgroup.path());
            let exits = stream_exits::exits(path, |record| {
                if let Record::Exit(exit) = record {
                    reported = Some(exit.what.process.tgid);
                }
                reported.is_none()
            });
            tokio::time::timeout(DEADLINE, exits).await
        });
        done.store(true, Ordering::Relaxed);
        let pids = dying.join().expect("the thread does not panic");
        streamed.expect("within the deadline").expect("BPF serves");
        (reported, pids)
    });
    let (pid, pids) = reported;
    assert!(pids.contains(&pid.expect("an exit")), "{pid:?} of {pids:?}");
}
