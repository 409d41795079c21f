//! All exit programs that this kernel accepts, not only the selected one. The programs for older
//! kernels work here too: the older tracepoint has a subset of the arguments, and memory that
//! can be read directly can be read by a helper as well.

use std::convert::Infallible;

use probe_tests::{Cgroup, Deadline, Victim, bpf};
use probe_user::{
    model::{Exit, ExitStatus, Record, Via},
    unstable::{
        bpf::{hook::Hook, load::Rings},
        trace::tracker::Tracker,
    },
};

/// The exit records of a process from the tracker, up to the first drain with one.
fn deaths(rings: &mut Rings, tracker: &mut Tracker, pid: u32) -> Vec<Exit> {
    let mut deaths = Vec::new();
    Deadline::start().until("the exit is reported", || {
        let drained = rings.stream.drain(|timed| {
            if let Some(Record::Exit(exit)) = tracker.apply(timed)
                && exit.what.process.tgid == pid
            {
                deaths.push(exit.what.clone());
            }
            Ok::<_, Infallible>(())
        });
        drained.is_ok_and(|_count| !deaths.is_empty())
    });
    deaths
}

#[test]
#[ignore = "needs root"]
fn every_exit_program_reports_the_same_exit() {
    let cgroup = Cgroup::v2("shapes");
    let plan = bpf::plan(&[Hook::Signal, Hook::Oom]);
    for (shape, program) in bpf::exit_programs() {
        let (_attached, mut rings) = bpf::load(&plan, Some((shape, program)));
        let mut tracker = Tracker::new();
        for (words, status) in [
            (&["exit", "7"][..], ExitStatus::from_wait_status(7 << 8)),
            (
                &["threads", "9", "signal", "15"],
                ExitStatus::from_wait_status(15),
            ),
        ] {
            let mut victim = Victim::start(words, Some(&cgroup));
            victim.wait();
            let reported = deaths(&mut rings, &mut tracker, victim.pid());
            let [exit] = reported.as_slice() else {
                panic!("{program}: reported {} times", reported.len());
            };
            assert!(exit.group_dead, "{program}: {exit:?}");
            assert_eq!(exit.status, Some(status), "{program}: {exit:?}");
            let by_itself = exit.killed_by.as_ref().map(|it| it.via);
            let expected = status.is_signaled().then_some(Via::Kill);
            assert_eq!(by_itself, expected, "{program}: {exit:?}");
            let process = &exit.process;
            assert_eq!(process.ppid, Some(std::process::id()), "{program}");
            assert_eq!(process.comm.to_str(), "victim", "{program}");
            assert_eq!(
                process.cgroup.map(|it| it.id),
                Some(cgroup.id()),
                "{program}"
            );
            assert!(process.start_boottime_ns.is_some(), "{program}");
            assert!(
                exit.usage.is_some_and(|it| it.max_rss_pages > 0),
                "{program}"
            );
        }
    }
}
