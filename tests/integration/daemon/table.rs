//! The process table of the daemon is what `/proc` shows, whatever it missed.

use std::{collections::BTreeSet, fs, process::Command};

use probe_tests::{
    Cgroup, Daemon, Deadline, Victim, conditions, inapplicable, kernel, requirements, scale,
};
use rustix::process::Signal;
use serde_json::Value;

use super::text;
use crate::skipped_programs::while_maps_are_written;

/// A cgroup that is a container by its name, as the docker of a systemd machine
/// makes it.
struct Container {
    id: String,
    _above: Cgroup,
    cgroup: Cgroup,
}

impl Container {
    fn new(label: &str) -> Self {
        let above = Cgroup::v2(label);
        let id = format!("{:064x}", above.id());
        let cgroup = above.sub(&format!("docker-{id}.scope"));
        Self {
            id,
            _above: above,
            cgroup,
        }
    }

    /// Who lives in it, as the daemon says.
    fn told(&self, daemon: &Daemon) -> BTreeSet<u32> {
        let answer = daemon.get(&format!("/v1/containers/{}", self.id));
        if answer.status == 404 {
            return BTreeSet::new();
        }
        let container = answer.json();
        let processes = container["processes"].as_array().expect("a list");
        let pids = processes
            .iter()
            .map(|it| it["pid"].as_u64().expect("a pid"));
        pids.map(|pid| u32::try_from(pid).expect("a pid")).collect()
    }

    fn there(&self) -> BTreeSet<u32> {
        self.cgroup.procs().into_iter().collect()
    }

    fn until_equal(&self, daemon: &Daemon) {
        let deadline = Deadline::start();
        loop {
            let (told, there) = (self.told(daemon), self.there());
            if told == there {
                return;
            }
            assert!(!deadline.left().is_zero(), "{told:?} told, {there:?} there");
        }
    }

    fn crowd(&self) -> Victim {
        let crowd = Victim::start_as("crowd", &["20", "2", "0"], Some(&self.cgroup));
        let _ready = crowd.report();
        crowd
    }

    /// Forks as fast as it can, for ever.
    fn storm(&self) -> Victim {
        Victim::start_as("storm", &["1000000000000"], Some(&self.cgroup))
    }
}

fn loss(daemon: &Daemon, of: &str) -> u64 {
    let info: Value = daemon.get("/v1/info").json();
    info["loss"][of].as_u64().expect("root may know")
}

#[test]
#[ignore = "needs root"]
fn under_a_fork_storm_a_daemon_that_starts_knows_everybody() {
    requirements::require_bpf();
    let container = Container::new("storm");
    let crowd = container.crowd();
    let storm = container.storm();
    let stable = container.there();
    assert!(stable.len() >= 20, "{stable:?}");
    let daemon = Daemon::start(&[]);
    let mut young = container.crowd();
    for _ in 0..50 {
        let told = container.told(&daemon);
        let missing: Vec<_> = [crowd.pid(), storm.pid(), young.pid()]
            .into_iter()
            .filter(|pid| !told.contains(pid))
            .collect();
        assert!(missing.is_empty(), "{missing:?} are not in {told:?}");
        // Two threads storm: whoever lives is one of theirs.
        assert!(
            told.len() < stable.len() + 20 + 30,
            "the dead pile up: {told:?}"
        );
    }
    young.signal(Signal::KILL);
    young.wait();
    storm.signal(Signal::STOP);
    container.until_equal(&daemon);
    drop(storm);
    container.until_equal(&daemon);
    assert!(container.told(&daemon).contains(&crowd.pid()));
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn what_it_missed_while_the_ring_was_full_it_finds_by_a_scan() {
    if scale::is_emulated() {
        inapplicable("what fills the ring takes minutes in a machine that is emulated");
    }
    let container = Container::new("missed");
    let _old = container.crowd();
    let mut leaving = container.crowd();
    let daemon = Daemon::start(&[]);
    container.until_equal(&daemon);
    daemon.signal(Signal::STOP);
    // More than its ring holds.
    let mut storm = Victim::start_as("storm", &["60000"], Some(&container.cgroup));
    storm.wait();
    leaving.signal(Signal::KILL);
    leaving.wait();
    let _new = container.crowd();
    daemon.signal(Signal::CONT);
    container.until_equal(&daemon);
    Deadline::start().until("the loss is counted", || loss(&daemon, "ring_full") > 0);
    Deadline::start().until("it scanned", || loss(&daemon, "resyncs") > 0);
    container.until_equal(&daemon);
    let _output = daemon.stop();
}

/// Where the kernel skips programs: elsewhere none is missed, whoever writes maps.
#[test]
#[ignore = "needs root"]
fn what_the_kernel_skipped_it_finds_by_a_scan() {
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
        Deadline::start().until("it scanned", || loss(&daemon, "resyncs") > 0);
    }
    container.until_equal(&daemon);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_was_killed_starts_again_where_it_was_and_knows_everybody() {
    requirements::require_bpf();
    let container = Container::new("again");
    let _crowd = container.crowd();
    let _storm = container.storm();
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let args = ["daemon", "--socket", text(&socket)];
    for _ in 0..3 {
        let daemon = Daemon::start_in(&mut conditions::unrestricted(&args), &socket);
        let young = container.crowd();
        let told = container.told(&daemon);
        assert!(told.contains(&young.pid()), "{told:?}");
        let missing = container.there();
        let missing: Vec<_> = missing
            .difference(&told)
            .filter(|pid| container.there().contains(pid))
            .collect();
        // Those that the storm has made since.
        assert!(missing.len() <= 4, "{missing:?}");
        daemon.signal(Signal::KILL);
        let _output = daemon.finish();
        assert!(fs::symlink_metadata(&socket).is_ok(), "nobody removed it");
    }
    let daemon = Daemon::start_in(&mut conditions::unrestricted(&args), &socket);
    container.cgroup.kill();
    container.until_equal(&daemon);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_process_that_comes_or_goes_is_in_the_next_answer() {
    let container = Container::new("next");
    let daemon = Daemon::start(&[]);
    for _ in 0..50 {
        let mut command = Command::new("sh");
        command.args(["-c", "read -r line"]);
        let mut victim = Victim::spawn_command(&mut command, Some(&container.cgroup));
        assert!(container.told(&daemon).contains(&victim.pid()));
        victim.signal(Signal::KILL);
        victim.wait();
        assert!(!container.told(&daemon).contains(&victim.pid()));
    }
}
