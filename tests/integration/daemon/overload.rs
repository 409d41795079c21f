//! Clients that are slow, too many, or send too much.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use probe_tests::{Cgroup, Daemon, Deadline, Victim, http, record, scale};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    by_id,
    invalid_requests::{assert_problem, begin, get, json_lines, raw, rest, status},
};

/// Bytes by which the daemon's memory may grow at most.
const GROWTH: u64 = 48 << 20;

fn memory(daemon: &Daemon) -> u64 {
    let kibibytes = daemon.status("VmRSS");
    let kibibytes = kibibytes.strip_suffix(" kB").expect("the value is in kB");
    kibibytes.trim().parse::<u64>().expect("a number") << 10
}

fn assert_grown_by_less_than(bytes: u64, before: u64, daemon: &Daemon) {
    let after = memory(daemon);
    assert!(after < before + bytes, "{before} before, {after} after");
}

/// Sends a piece repeatedly until the daemon closes or all pieces are sent; returns the
/// answer.
fn pour(socket: &Path, head: &str, piece: &[u8], pieces: usize) -> String {
    let mut stream = begin(socket, head.as_bytes());
    for _ in 0..pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    rest(stream)
}

#[test]
#[ignore = "needs root"]
fn a_body_of_a_gibibyte_is_refused_without_being_read() {
    const MEBIBYTE: usize = 1 << 20;
    let daemon = Daemon::start(&[]);
    let before = memory(&daemon);
    let head = "POST /v1/wait HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let whole = format!("{head}content-length: {}\r\n\r\n", 1 << 30);
    let piece = vec![b' '; MEBIBYTE];
    let answer = pour(daemon.socket(), &whole, &piece, 1024);
    assert_problem(&answer, 413, "by its length");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let chunk = [b"100000\r\n".as_slice(), &piece, b"\r\n"].concat();
    let answer = pour(daemon.socket(), &chunked, &chunk, 1024);
    assert_problem(&answer, 413, "in chunks");
    // A body that the route does not use.
    let whole = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        1 << 30
    );
    let answer = pour(daemon.socket(), &whole, &piece, 1024);
    assert!([0, 200].contains(&status(&answer)), "{answer}");
    assert_grown_by_less_than(GROWTH, before, &daemon);
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
#[ignore = "needs root"]
fn slow_clients_are_closed_in_time_and_delay_no_other_client() {
    const PATIENCE: Duration = Duration::from_secs(25);
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket();
    // A description, the first bytes, and the bytes that follow repeatedly.
    let post = "POST /v1/wait HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let whole = format!("{post}content-length: 1000\r\n\r\n{{\"targets\":[");
    let chunked = format!("{post}transfer-encoding: chunked\r\n\r\n");
    let healthy = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let cases = [
        ("sends nothing", "", ""),
        ("stops in the head", "GET /healthz HT", ""),
        ("sends headers forever", "GET / HTTP/1.1\r\n", "x: y\r\n"),
        ("sends one letter at a time", "GET /", "x"),
        ("stops in the body", &whole, ""),
        ("sends the body slowly", &whole, " "),
        ("stops between chunks", &chunked, ""),
        ("sends small chunks", &chunked, "1\r\n \r\n"),
        ("sends no second request", healthy, ""),
    ];
    thread::scope(|scope| {
        let slow = cases.map(|(what, first, again)| {
            let run = move || {
                let begun = Instant::now();
                let stream = begin(socket, first.as_bytes());
                let writer = stream.try_clone().expect("a descriptor");
                let answer = thread::scope(|scope| {
                    scope.spawn(move || trickle(writer, again.as_bytes()));
                    rest(stream)
                });
                (what, answer, begun.elapsed())
            };
            scope.spawn(run)
        });
        let others = Deadline::after(Duration::from_secs(5));
        while !others.left().is_zero() {
            let begun = Instant::now();
            assert_eq!(http::send(socket, "GET", "/healthz", None).status, 200);
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
        for slow in slow {
            let (what, answer, took) = slow.join().expect("the thread does not panic");
            assert!(took < PATIENCE, "{what}: {took:?}");
            let expected: &[u16] = match what {
                _ if what.contains("body") || what.contains("chunks") => &[408],
                "sends no second request" => &[200],
                // The connection is closed, with or without an answer.
                _ => &[0, 408, 431],
            };
            assert!(expected.contains(&status(&answer)), "{what}: {answer}");
        }
    });
    let _output = daemon.stop();
}

/// Writes a piece every 50 ms until the daemon closes.
fn trickle(mut stream: UnixStream, piece: &[u8]) {
    while !piece.is_empty() && stream.write_all(piece).is_ok() {
        thread::park_timeout(Duration::from_millis(50));
    }
}

/// How many exits a reader received, how many it lost because it was slow, and how many
/// it lost for other reasons.
fn count(lines: &[Value]) -> (u64, u64, u64) {
    let lost = |is_slow: bool| {
        let lines = lines.iter().filter(|it| it["type"] == "lost");
        let lines = lines.filter(|it| (it["reason"] == "slow_reader") == is_slow);
        lines.map(|it| record::number(it, "count")).sum()
    };
    let exits = lines.iter().filter(|it| record::is_exit(it)).count() as u64;
    (exits, lost(true), lost(false))
}

#[test]
#[ignore = "needs root"]
fn a_client_that_never_reads_gets_loss_counts_and_delays_no_other() {
    let made = scale::emulated_or(20_000, scale::few_or(40_000, 200_000));
    let daemon = Daemon::start(&["--history", "1000"]);
    let cgroup = Cgroup::v2("unread");
    let events = format!("/v1/events?cgroup={}", cgroup.path());
    let ask = || {
        let mut stream = begin(daemon.socket(), &get(&events));
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    let unread = [(); 10].map(|()| ask());
    let before = memory(&daemon);
    let reader = daemon.get(&events).stream();
    // Reads during the storm, because a client that starts to read later counts as slow.
    let reader = thread::spawn(move || read_until_last(&reader));
    let mut storm = Victim::start(&["storm", &made.to_string()], Some(&cgroup));
    let request = json!({"targets": [by_id(&cgroup)]});
    let wait = daemon.post("/v1/wait", &request).stream();
    storm.wait_within(Duration::from_mins(5));
    Victim::start(&["exit", "77"], Some(&cgroup)).wait();
    let read = reader.join().expect("the thread does not panic");
    let (received, slow, dropped) = count(&read);
    assert_eq!(slow, 0, "a client that reads is not slow");
    let all = made as u64 + 2;
    let is_complete = received <= all && received + dropped >= all;
    assert!(is_complete, "{received} and {dropped} of {all}");
    assert_eq!(wait.next_of("wait")["outcome"], "done");
    assert_grown_by_less_than(GROWTH, before, &daemon);

    daemon.signal(Signal::TERM);
    let readers = unread.map(|it| thread::spawn(move || json_lines(&rest(it))));
    for reader in readers {
        let lines = reader.join().expect("the thread does not panic");
        let (received, slow, dropped) = count(&lines);
        assert!(slow > 0, "only {received} received, {dropped} dropped");
        let counts = [received, slow, dropped];
        assert!(counts.iter().sum::<u64>() >= all, "{counts:?} of {all}");
        assert_eq!(lines.last(), Some(&json!({"type": "goodbye"})));
    }
}

/// Reads up to the exit of the process that does not belong to the storm.
fn read_until_last(reader: &http::Stream) -> Vec<Value> {
    let mut read = Vec::new();
    loop {
        let line = reader.next();
        let is_last = line["status"]["code"] == 77;
        read.push(line);
        if is_last {
            return read;
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_slow_reader_of_the_history_costs_no_memory() {
    let made = scale::emulated_or(5000, 20_000).to_string();
    let daemon = Daemon::start(&["--history", &made]);
    let cgroup = Cgroup::v2("slow");
    let storm = || Victim::start(&["storm", &made], Some(&cgroup)).wait();
    storm();
    let exits = format!("/v1/exits?cgroup={}", cgroup.path());
    let unread = [(); 20].map(|()| begin(daemon.socket(), &get(&exits)));
    assert_eq!(daemon.get("/healthz").status, 200);
    let before = memory(&daemon);
    storm();
    assert_eq!(daemon.get("/healthz").status, 200);
    assert_grown_by_less_than(8 << 20, before, &daemon);
    for stream in unread {
        let (received, lost, _) = count(&json_lines(&rest(stream)));
        assert!(received > 0 && lost > 0, "{received} received, {lost} lost");
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_client_above_the_limit_gets_503_with_retry_after() {
    let daemon = Daemon::start(&["--max-clients", "2"]);
    let socket = daemon.socket();
    let (cgroup, _victim) = Victim::in_v2("full");
    let request = json!({"targets": [{"path": cgroup.path()}]});
    // The connection of the health check may still be closing and count as a client.
    let connect = || loop {
        let answer = daemon.post("/v1/wait", &request);
        if answer.status == 200 {
            break answer.stream();
        }
    };
    let waits = [connect(), connect()];
    for lines in &waits {
        assert_eq!(lines.next()["type"], "armed");
    }
    for _ in 0..5 {
        let answer = raw(socket, &get("/healthz"));
        assert_problem(&answer, 503, "too many clients");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    }
    // The daemon answers a limited number of them at a time, and closes the others.
    let silent: Vec<_> = (0..scale::emulated_or(40, 200))
        .map(|_| http::connect(socket).expect("the daemon listens"))
        .collect();
    for stream in silent {
        assert!([0, 503].contains(&status(&rest(stream))));
    }
    drop(waits);
    Deadline::start().until("the daemon accepts clients again", || {
        status(&raw(socket, &get("/healthz"))) == 200
    });
    let _output = daemon.stop();
}
