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
    Cgroup, Daemon, Deadline, Victim,
    http::{self, Answer},
    random, record, scale,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::{Value, json};

/// A wait on a connection that the test's own thread reads, so that no other thread delays
/// the step that follows `armed`.
struct Direct {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Direct {
    fn start(socket: &Path, cgroup: &Cgroup) -> Self {
        let target = json!({"cgroup": {"hierarchy": 0, "id": cgroup.id()}});
        let body = json!({"targets": [target]}).to_string();
        let request = format!(
            "POST /v1/wait HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = http::connect(socket).expect("a daemon listens");
        stream
            .write_all(request.as_bytes())
            .expect("the daemon reads");
        Self {
            stream,
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
        self.stream
            .read_to_end(&mut self.received)
            .expect("within the deadline");
        let received = String::from_utf8(self.received).expect("JSON");
        // All other lines are headers and chunk sizes.
        let lines = received.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
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
        let crowd = Victim::start_as("crowd", &["3", "1", "0"], Some(&cgroup));
        let _ready = crowd.report();
        let pids: BTreeSet<_> = cgroup.procs().into_iter().collect();
        assert_eq!(pids.len(), 3);
        // Opened before, so that the kill follows `armed` without delay.
        let kill = fs::File::options()
            .write(true)
            .open(cgroup.file("cgroup.kill"));
        let mut wait = Direct::start(daemon.socket(), &cgroup);
        wait.until_armed();
        let armed = Instant::now();
        match kill {
            Ok(mut kill) => kill.write_all(b"1").expect("the test owns the cgroup"),
            Err(_before_5_14) => cgroup.kill(),
        }
        quick += usize::from(armed.elapsed() < quick_enough);
        let lines = wait.finish();
        let exits = lines.iter().filter(|line| record::is_exit(line));
        let pids_of_exits: Vec<_> = exits.clone().map(record::pid).collect();
        assert_eq!(pids_of_exits.len(), 3, "round {round}: {lines:#?}");
        assert_eq!(
            pids_of_exits.into_iter().collect::<BTreeSet<_>>(),
            pids,
            "round {round}"
        );
        for exit in exits {
            assert_eq!(record::wait_status(exit), 9, "round {round}");
            let via = &exit["killed_by"]["via"];
            assert_eq!(via, cgroup.killed_via(), "round {round}");
        }
        let verdict = verdict(&lines);
        assert_eq!(
            (&verdict["outcome"], &verdict["exits"], &verdict["lost"]),
            (&json!("done"), &json!(3), &json!(0)),
            "round {round}"
        );
    }
    assert!(
        quick > rounds / 10,
        "only {quick} of {rounds} kills were quick"
    );
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_stopping_daemon_ends_every_wait_with_a_goodbye() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("goodbye");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let request = json!({"targets": [{"path": cgroup.path()}]});
    let waits: Vec<_> = (0..20)
        .map(|_| {
            let lines = daemon.post("/v1/wait", &request).stream();
            assert_eq!(lines.next()["type"], "armed");
            lines
        })
        .collect();
    let events = daemon.get("/v1/events").stream();
    // Clients that send no request or half of one do not delay the stop for long.
    let silent = http::connect(daemon.socket()).expect("the daemon listens");
    let mut half = http::connect(daemon.socket()).expect("the daemon listens");
    half.write_all(b"GET /v1/in").expect("the daemon reads");
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
    let cgroup = Cgroup::v2("left");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
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

/// Allows this process as many descriptors as its hard limit permits.
fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).expect("a limit up to the hard limit may be set");
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("the pid is not 0");
    kill_process(pid, Signal::KILL).expect("the process is not reaped");
}

#[test]
#[ignore = "needs root"]
fn each_of_many_clients_gets_the_right_verdict() {
    raise_limit();
    let cgroups = scale::few_or(100, 2000);
    let connections = scale::few_or(500, 10_000);
    let processes = scale::few_or(250, 5000);
    let daemon = Daemon::start(&[]);
    let top = Cgroup::v2("crowd");
    let cgroups: Vec<_> = (0..cgroups).map(|it| top.sub(&it.to_string())).collect();
    let words = [(processes + 1).to_string(), "1".to_owned(), "0".to_owned()];
    let words = words.each_ref().map(String::as_str);
    let crowd = Victim::start_as("crowd", &words, Some(&top));
    let _ready = crowd.report();
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
    for pid in doomed {
        kill(pid);
    }
    let (spared, waits): (Vec<_>, Vec<_>) =
        waits.into_iter().partition(|(index, _)| is_spared(*index));
    for (index, wait) in waits {
        let lines = wait.finish();
        let verdict = verdict(&lines);
        assert_eq!(
            (&verdict["outcome"], &verdict["exits"]),
            (&json!("done"), &json!(members[index].len())),
            "cgroup {index}: {lines:#?}"
        );
    }
    let _output = daemon.stop();
    for (index, wait) in spared {
        let lines = wait.finish();
        let last = lines.last().expect("a goodbye");
        assert_eq!(last["type"], "goodbye", "cgroup {index}: {lines:#?}");
    }
}
