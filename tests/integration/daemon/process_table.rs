//! The process table of the daemon equals `/proc`, also after lost events.

use std::{collections::BTreeSet, process::Command};

use probe_tests::{
    Cgroup, Daemon, Deadline, Victim, inapplicable, kernel, record, requirements, scale,
};
use rustix::process::Signal;

use super::{Place, container};
use crate::skipped_programs::while_maps_are_written;

/// A cgroup that its name makes a container, as docker with systemd names it.
struct Container {
    id: String,
    cgroup: Cgroup,
    _above: Cgroup,
}

impl Container {
    fn new(label: &str) -> Self {
        let above = Cgroup::v2(label);
        let (id, cgroup) = container(&above);
        Self {
            id,
            cgroup,
            _above: above,
        }
    }

    /// The processes in it that the daemon lists.
    fn listed(&self, daemon: &Daemon) -> BTreeSet<u32> {
        let answer = daemon.get(&format!("/v1/containers/{}", self.id));
        if answer.status == 404 {
            return BTreeSet::new();
        }
        let container = answer.json();
        let processes = container["processes"].as_array().expect("a list");
        processes.iter().map(record::pid).collect()
    }

    fn actual(&self) -> BTreeSet<u32> {
        self.cgroup.procs().into_iter().collect()
    }

    fn until_equal(&self, daemon: &Daemon) {
        let deadline = Deadline::start();
        loop {
            let (listed, actual) = (self.listed(daemon), self.actual());
            if listed == actual {
                return;
            }
            let is_over = deadline.left().is_zero();
            assert!(!is_over, "{listed:?} listed, {actual:?} in the cgroup");
        }
    }

    fn crowd(&self) -> Victim {
        Victim::crowd(&["20", "2", "0"], &self.cgroup).0
    }

    /// A process that forks as fast as it can, forever.
    fn storm(&self) -> Victim {
        Victim::start(&["storm", "1000000000000"], Some(&self.cgroup))
    }
}

fn loss(daemon: &Daemon, counter: &str) -> u64 {
    let info = daemon.get("/v1/info").json();
    record::number(&info["loss"], counter)
}

#[test]
#[ignore = "needs root"]
fn a_daemon_started_during_a_fork_storm_lists_every_process() {
    requirements::require_bpf();
    let container = Container::new("storm");
    let crowd = container.crowd();
    let storm = container.storm();
    let stable = container.actual();
    assert!(stable.len() >= 20, "{stable:?}");
    let daemon = Daemon::start(&[]);
    let mut young = container.crowd();
    for _ in 0..50 {
        let listed = container.listed(&daemon);
        for pid in [&crowd, &storm, &young].map(Victim::pid) {
            assert!(listed.contains(&pid), "{pid} is not in {listed:?}");
        }
        // Two threads fork, so only few of their children are alive at a time.
        let most = stable.len() + 20 + 30;
        assert!(listed.len() < most, "dead processes pile up: {listed:?}");
    }
    young.kill();
    storm.signal(Signal::STOP);
    container.until_equal(&daemon);
    drop(storm);
    container.until_equal(&daemon);
    assert!(container.listed(&daemon).contains(&crowd.pid()));
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_scan_finds_what_a_full_ring_lost() {
    if scale::is_emulated() {
        inapplicable("filling the ring takes minutes on an emulated machine");
    }
    let container = Container::new("missed");
    let _old = container.crowd();
    let mut leaving = container.crowd();
    let daemon = Daemon::start(&[]);
    container.until_equal(&daemon);
    daemon.signal(Signal::STOP);
    // More exits than the ring holds.
    let mut storm = Victim::start(&["storm", "60000"], Some(&container.cgroup));
    storm.wait();
    leaving.kill();
    let _new = container.crowd();
    daemon.signal(Signal::CONT);
    container.until_equal(&daemon);
    Deadline::start().until("the loss is counted", || loss(&daemon, "ring_full") > 0);
    Deadline::start().until("the daemon scans /proc", || loss(&daemon, "resyncs") > 0);
    container.until_equal(&daemon);
    let _output = daemon.stop();
}

/// Writing to maps makes some kernels skip programs. On others no event is lost.
#[test]
#[ignore = "needs root"]
fn a_scan_finds_what_skipped_programs_lost() {
    requirements::require_bpf();
    let container = Container::new("skipped");
    let daemon = Daemon::start(&[]);
    let is_done = || !kernel::skips_programs() || loss(&daemon, "skipped") > 0;
    while_maps_are_written(|| {
        Deadline::start().until("the kernel skips a program", || {
            for _ in 0..3 {
                let mut crowd = container.crowd();
                container.cgroup.kill();
                crowd.wait();
            }
            is_done()
        });
    });
    let _new = container.crowd();
    if kernel::skips_programs() {
        Deadline::start().until("the daemon scans /proc", || loss(&daemon, "resyncs") > 0);
    }
    container.until_equal(&daemon);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_killed_daemon_restarts_on_its_socket_and_lists_every_process() {
    requirements::require_bpf();
    let container = Container::new("again");
    let _crowd = container.crowd();
    let _storm = container.storm();
    let place = Place::new();
    for _ in 0..3 {
        let daemon = place.serve("");
        let young = container.crowd();
        let listed = container.listed(&daemon);
        assert!(listed.contains(&young.pid()), "{listed:?}");
        let mut missing = &container.actual() - &listed;
        missing.retain(|pid| container.actual().contains(pid));
        // The storm has forked these since the answer.
        assert!(missing.len() <= 4, "{missing:?}");
        daemon.signal(Signal::KILL);
        let _output = daemon.finish();
        assert!(place.socket.exists(), "a killed daemon leaves its socket");
    }
    let daemon = place.serve("");
    container.cgroup.kill();
    container.until_equal(&daemon);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn the_next_answer_shows_that_a_process_started_or_exited() {
    let container = Container::new("next");
    let daemon = Daemon::start(&[]);
    for _ in 0..50 {
        let mut command = Command::new("sh");
        command.args(["-c", "read -r line"]);
        let mut victim = Victim::spawn_command(&mut command, Some(&container.cgroup));
        assert!(container.listed(&daemon).contains(&victim.pid()));
        victim.kill();
        assert!(!container.listed(&daemon).contains(&victim.pid()));
    }
}
