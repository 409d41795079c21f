//! Waits over the socket: many at once, and until the daemon or the client ends.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use probe_tests::{
    Cgroup, Daemon, Deadline, Victim, assert_fields,
    http::{self, Answer},
    kill, raise_descriptor_limit, random, record, scale,
};
use serde_json::{Value, json};

use super::{
    armed, by_id,
    invalid_requests::{begin, json_lines, post},
};

/// A wait on a connection that the test's own thread reads, so that no other thread delays
/// the step that follows `armed`.
struct Direct {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Direct {
    fn start(socket: &Path, cgroup: &Cgroup) -> Self {
        let body = json!({"targets": [by_id(cgroup)]}).to_string();
        Self {
            stream: begin(socket, &post(body.as_bytes())),
            received: Vec::new(),
        }
    }

    /// Reads until the daemon has sent this.
    fn until(&mut self, words: &[u8]) {
        let mut buffer = [0; 4096];
        while !self.received.windows(words.len()).any(|it| it == words) {
            let read = self.stream.read(&mut buffer).expect("within the deadline");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&self.received));
            self.received.extend_from_slice(&buffer[..read]);
        }
    }

    fn until_armed(&mut self) {
        self.until(b"\"armed\"");
        self.until(b"}\n");
    }

    /// All lines, to the end of the answer.
    fn finish(mut self) -> Vec<Value> {
        let read = self.stream.read_to_end(&mut self.received);
        read.expect("within the deadline");
        json_lines(&String::from_utf8(self.received).expect("JSON"))
    }
}

fn verdict(lines: &[Value]) -> &Value {
    let last = lines.last().expect("a verdict");
    assert_eq!(last["type"], "wait", "{lines:#?}");
    last
}

#[test]
#[ignore = "needs root"]
fn a_kill_right_after_armed_is_never_missed() {
    // No kill is that quick on an emulated machine.
    let quick_enough = Duration::from_micros(if scale::is_emulated() { 5000 } else { 50 });
    let rounds = scale::few_or(300, 10_000);
    let daemon = Daemon::start(&[]);
    let mut quick = 0;
    for round in 0..rounds {
        let cgroup = Cgroup::v2("armed");
        let _crowd = Victim::crowd(&["3", "1", "0"], &cgroup);
        let pids: BTreeSet<_> = cgroup.procs().into_iter().collect();
        assert_eq!(pids.len(), 3);
        // Opened before, so that the kill follows `armed` without delay.
        let mut options = fs::File::options();
        let kill = options.write(true).open(cgroup.file("cgroup.kill"));
        let mut wait = Direct::start(daemon.socket(), &cgroup);
        wait.until_armed();
        let armed = Instant::now();
        match kill {
            Ok(mut kill) => kill.write_all(b"1").expect("the test owns the cgroup"),
            Err(_before_5_14) => cgroup.kill(),
        }
        quick += usize::from(armed.elapsed() < quick_enough);
        let lines = wait.finish();
        let exits: Vec<_> = lines.iter().filter(|it| record::is_exit(it)).collect();
        assert_eq!(exits.len(), 3, "round {round}: {lines:#?}");
        let killed: BTreeSet<_> = exits.iter().map(|it| record::pid(it)).collect();
        assert_eq!(killed, pids, "round {round}");
        for exit in exits {
            assert_eq!(record::wait_status(exit), 9, "round {round}");
            let via = &exit["killed_by"]["via"];
            assert_eq!(via, cgroup.killed_via(), "round {round}");
        }
        let expected = json!({"outcome": "done", "exits": 3, "lost": 0});
        assert_fields(verdict(&lines), &expected);
    }
    let is_enough = quick > rounds / 10;
    assert!(is_enough, "only {quick} of {rounds} kills were quick");
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_stopping_daemon_ends_every_wait_with_a_goodbye() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _victim) = Victim::in_v2("goodbye");
    let request = json!({"targets": [{"path": cgroup.path()}]});
    let waits = [(); 20].map(|()| armed(&daemon, &request, 1));
    let events = daemon.get("/v1/events").stream();
    // Clients that send no request or half of one do not delay the stop for long.
    let silent = http::connect(daemon.socket()).expect("the daemon listens");
    let half = begin(daemon.socket(), b"GET /v1/in");
    let begun = Instant::now();
    let output = daemon.stop();
    assert!(begun.elapsed() < Duration::from_secs(10), "{output:#?}");
    for lines in waits {
        assert_eq!(lines.rest(), [json!({"type": "goodbye"})]);
    }
    let last = events.rest().pop().expect("a goodbye");
    assert_eq!(last, json!({"type": "goodbye"}));
    assert!(Answer::read(silent).is_none() && Answer::read(half).is_none());
}

#[test]
#[ignore = "needs root"]
fn a_client_that_disconnects_ends_its_wait() {
    let daemon = Daemon::start(&[]);
    let descriptors = || {
        let directory = fs::read_dir(format!("/proc/{}/fd", daemon.pid()));
        directory.expect("the test runs as root").count()
    };
    let (cgroup, _victim) = Victim::in_v2("left");
    let before = descriptors();
    for _ in 0..20 {
        let mut wait = Direct::start(daemon.socket(), &cgroup);
        wait.until_armed();
        assert!(descriptors() > before);
    }
    // The daemon drops an unused watch when the next wait is armed.
    Deadline::start().until("no more descriptors than with one wait", || {
        let mut wait = Direct::start(daemon.socket(), &cgroup);
        wait.until_armed();
        descriptors() <= before + 4
    });
}

#[test]
#[ignore = "needs root"]
fn each_of_many_clients_gets_the_right_verdict() {
    raise_descriptor_limit();
    let cgroups = scale::few_or(100, 2000);
    let connections = scale::few_or(500, 10_000);
    let processes = scale::few_or(250, 5000);
    let daemon = Daemon::start(&[]);
    let top = Cgroup::v2("crowd");
    let cgroups: Vec<_> = (0..cgroups).map(|it| top.sub(&it.to_string())).collect();
    let processes = (processes + 1).to_string();
    let (crowd, _) = Victim::crowd(&[&processes, "1", "0"], &top);
    let mut members = vec![Vec::new(); cgroups.len()];
    let others = top.procs().into_iter().filter(|&pid| pid != crowd.pid());
    for (index, pid) in others.enumerate() {
        let index = index % cgroups.len();
        cgroups[index].add(pid);
        members[index].push(pid);
    }
    let mut waits: Vec<_> = (0..connections)
        .map(|it| {
            let index = it % cgroups.len();
            (index, Direct::start(daemon.socket(), &cgroups[index]))
        })
        .collect();
    for (_, wait) in &mut waits {
        wait.until_armed();
    }
    // One cgroup in ten stays populated, and its waits must not end.
    let is_spared = |index: usize| index.is_multiple_of(10);
    let mut doomed: Vec<_> = (0..cgroups.len())
        .filter(|&index| !is_spared(index))
        .flat_map(|index| members[index].iter().copied())
        .collect();
    random::seeded().shuffle(&mut doomed);
    doomed.into_iter().for_each(kill);
    let (spared, waits): (Vec<_>, Vec<_>) =
        waits.into_iter().partition(|(index, _)| is_spared(*index));
    for (index, wait) in waits {
        let lines = wait.finish();
        let expected = json!({"outcome": "done", "exits": members[index].len()});
        assert_fields(verdict(&lines), &expected);
    }
    let _output = daemon.stop();
    for (index, wait) in spared {
        let lines = wait.finish();
        let last = lines.last().expect("a goodbye");
        assert_eq!(last["type"], "goodbye", "cgroup {index}: {lines:#?}");
    }
}
