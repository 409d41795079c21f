//! Processes that enter a watched cgroup and leave it alive, and processes that move inside it.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use probe_tests::{Cgroup, Victim, record, run_in, started_by};
use probe_user::{
    model::{Backend, Until},
    unstable::{
        bpf::load::Plan,
        wait::{Hub, Target, Wait, condition::Answer},
    },
};
use rustix::process::Signal;

use super::{assert_met, assert_pending, block_on, joined, met};

fn arm(hub: &Hub, cgroup: &Cgroup, until: Until) -> Wait {
    let target = Target::cgroup(cgroup.path().as_ref()).expect("the cgroup exists");
    hub.arm(target, until).expect("the members are readable")
}

/// A process that starts a child when it is released, and reports the child's pid.
fn parent_in(cgroup: &Cgroup) -> Victim {
    let script = r#"read line; sleep 600 & printf '{"pid":%d}\n' $!; wait"#;
    let mut shell = Command::new("sh");
    Victim::spawn_command(shell.args(["-c", script]), Some(cgroup))
}

#[test]
#[ignore = "needs root"]
fn a_process_that_entered_during_the_wait_and_left_alive_is_awaited() {
    block_on(async {
        let hub = joined(Plan::decisive()).await.0;
        for (cgroup, refuge) in Cgroup::both("entered").iter().zip(Cgroup::both("refuge")) {
            for until in [Until::Exited, Until::Reaped, Until::Stopped] {
                let mut member = parent_in(cgroup);
                let mut wait = arm(&hub, cgroup, until);
                assert_pending(&mut wait).await;
                let mut visitor = Victim::spawn(&[], Some(cgroup));
                member.release();
                let child = record::pid(&member.report());
                refuge.add(visitor.pid());
                refuge.add(child);
                member.signal(Signal::KILL);
                member.wait();
                cgroup.wait_empty();
                assert_pending(&mut wait).await;
                let migrants: Vec<_> = wait.migrants().iter().map(|it| it.pid).collect();
                assert!(migrants.contains(&visitor.pid()), "{migrants:?}");
                assert!(migrants.contains(&child), "{migrants:?}");
                visitor.signal(Signal::KILL);
                visitor.wait();
                assert_pending(&mut wait).await;
                refuge.kill();
                assert_met(&mut wait).await;
            }
        }
    });
}

#[test]
#[ignore = "needs root"]
fn without_bpf_verdicts_about_processes_of_a_cgroup_are_not_exact() {
    block_on(async {
        for backend in [Backend::Pidfd, Backend::Poll] {
            let hub = Hub::start(backend);
            for (until, is_exact) in [(Until::Empty, true), (Until::Exited, false)] {
                let (cgroup, mut victim) = Victim::in_v2("inexact");
                let mut wait = arm(&hub, &cgroup, until);
                assert_pending(&mut wait).await;
                victim.signal(Signal::KILL);
                victim.wait();
                assert_eq!(met(&mut wait).await.exact, is_exact, "{until:?}");
                // No process has left a cgroup that is empty from the start.
                let mut wait = arm(&hub, &cgroup, until);
                let met = met(&mut wait).await;
                assert!(met.already && met.exact, "{until:?}: {met:?}");
            }
        }
    });
}

/// Number of looks at the cgroups of a process that moves.
const LOOKS: usize = 300;

#[test]
#[ignore = "needs root"]
fn a_v1_cgroup_is_not_empty_while_a_process_moves_among_its_children() {
    let parent = Cgroup::v1("freezer", "moves");
    let children = ["a", "b"].map(|name| parent.sub(name));
    let mut victim = Victim::spawn(&[], Some(&children[0]));
    let stop = AtomicBool::new(false);
    let pid = victim.pid().to_string();
    let lists = children.each_ref().map(|it| it.file("cgroup.procs"));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for list in &lists {
                    fs::write(list, &pid).expect("the process lives");
                }
            }
        });
        block_on(async {
            for backend in [Backend::Bpf, Backend::Pidfd, Backend::Poll] {
                let hub = match backend {
                    Backend::Bpf => joined(Plan::decisive()).await.0,
                    _ => Hub::start(backend),
                };
                for until in [Until::Empty, Until::Exited] {
                    let mut wait = arm(&hub, &parent, until);
                    for _ in 0..LOOKS {
                        let answer = wait.look().expect("the state is readable");
                        assert_eq!(answer, Answer::No, "{backend:?} {until:?}");
                    }
                }
            }
        });
        stop.store(true, Ordering::Relaxed);
    });
    victim.signal(Signal::KILL);
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn more_members_than_descriptors_are_an_error_and_no_verdict() {
    let cgroup = Cgroup::v2("descriptors");
    let (_crowd, _first) = Victim::crowd(&["200", "1", "0"], &cgroup);
    let wait = |limit, until: &str| {
        let limited = |args: &[&str]| started_by(&["prlimit", limit], args);
        let options = format!("--until {until} --backend pidfd -t 0");
        run_in(
            limited,
            &format!("wait --cgroup {} {options}", cgroup.path()),
        )
    };
    // The soft limit is raised to the hard limit.
    wait("--nofile=64:1000", "exited").assert_ended(3, &["still there"]);
    wait("--nofile=64:64", "exited").assert_refused(1, &["Too many open files", "ulimit -Hn"]);
    // No member has to be held open to see whether a v2 cgroup is empty.
    wait("--nofile=64:64", "empty").assert_ended(3, &["still there"]);
}
