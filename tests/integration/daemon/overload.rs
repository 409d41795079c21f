//! Clients that are slow, many, or send too much.

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

use super::abuse::{assert_problem, get, raw, rest, status};

/// Bytes that the daemon's memory may grow by, whatever is done to it here.
const GROWTH: u64 = 48 << 20;

fn memory(daemon: &Daemon) -> u64 {
    let kibibytes = daemon.status("VmRSS");
    let kibibytes = kibibytes.strip_suffix(" kB").expect("in kB");
    kibibytes.trim().parse::<u64>().expect("a number") << 10
}

/// Sends a piece again and again until nobody takes it any more or all is sent;
/// the answer.
fn pour(socket: &Path, head: &str, piece: &[u8], pieces: usize) -> String {
    let mut stream = http::connect(socket).expect("it listens");
    stream.write_all(head.as_bytes()).expect("it reads");
    for _ in 0..pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    rest(stream)
}

#[test]
#[ignore = "needs root"]
fn a_gibibyte_is_not_read() {
    const MEBIBYTE: usize = 1 << 20;
    let daemon = Daemon::start(&[]);
    let before = memory(&daemon);
    let head = "POST /v1/wait HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let whole = format!("{head}content-length: {}\r\n\r\n", 1 << 30);
    let piece = vec![b' '; MEBIBYTE];
    let said = pour(daemon.socket(), &whole, &piece, 1024);
    assert_problem(&said, 413, "by its length");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let chunk = [b"100000\r\n".as_slice(), &piece, b"\r\n"].concat();
    let said = pour(daemon.socket(), &chunked, &chunk, 1024);
    assert_problem(&said, 413, "in chunks");
    // Nobody asked for this one.
    let whole = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        1 << 30
    );
    let said = pour(daemon.socket(), &whole, &piece, 1024);
    assert!([0, 200].contains(&status(&said)), "{said}");
    let after = memory(&daemon);
    assert!(after < before + GROWTH, "{before} before, {after} after");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
#[ignore = "needs root"]
fn who_takes_for_ever_is_closed_in_time_and_holds_up_nobody() {
    const PATIENCE: Duration = Duration::from_secs(25);
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket();
    // What is said at first, and what again and again.
    let post = "POST /v1/wait HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let whole = format!("{post}content-length: 1000\r\n\r\n{{\"targets\":[");
    let chunked = format!("{post}transfer-encoding: chunked\r\n\r\n");
    let cases = [
        ("says nothing", "", ""),
        ("stops in the head", "GET /healthz HT", ""),
        (
            "sends headers for ever",
            "GET /healthz HTTP/1.1\r\n",
            "x: y\r\n",
        ),
        ("sends one letter after the other", "GET /", "x"),
        ("stops in the body", &whole, ""),
        ("sends the body slowly", &whole, " "),
        ("stops between chunks", &chunked, ""),
        ("sends small chunks", &chunked, "1\r\n \r\n"),
        (
            "says no more",
            "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
            "",
        ),
    ];
    thread::scope(|scope| {
        let slow = cases.map(|(what, first, again)| {
            let dawdle = move || {
                let begun = Instant::now();
                let mut stream = http::connect(socket).expect("it listens");
                stream.write_all(first.as_bytes()).expect("it reads");
                let writer = stream.try_clone().expect("a descriptor");
                let said = thread::scope(|scope| {
                    scope.spawn(move || trickle(writer, again.as_bytes()));
                    rest(stream)
                });
                (what, said, begun.elapsed())
            };
            scope.spawn(dawdle)
        });
        let others = Deadline::after(Duration::from_secs(5));
        while !others.left().is_zero() {
            let begun = Instant::now();
            assert_eq!(http::send(socket, "GET", "/healthz", None).status, 200);
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
        for slow in slow {
            let (what, said, took) = slow.join().expect("it is closed");
            assert!(took < PATIENCE, "{what}: {took:?}");
            let expected: &[u16] = match what {
                _ if what.contains("body") || what.contains("chunks") => &[408],
                "says no more" => &[200],
                // Closed, or told.
                _ => &[0, 408, 431],
            };
            assert!(expected.contains(&status(&said)), "{what}: {said}");
        }
    });
    let _output = daemon.stop();
}

/// Until the other end has enough.
fn trickle(mut stream: UnixStream, piece: &[u8]) {
    while !piece.is_empty() && stream.write_all(piece).is_ok() {
        thread::park_timeout(Duration::from_millis(50));
    }
}

/// Lines of an answer that is in these bytes, and whatever frames them.
fn lines(said: &str) -> Vec<Value> {
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// How many exits a reader was told, and how many it lost by its own fault or
/// another's.
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
fn a_reader_that_never_reads_is_told_what_it_lost_and_slows_nobody() {
    let made = scale::emulated_or(20_000, scale::few_or(40_000, 200_000));
    let daemon = Daemon::start(&["--history", "1000"]);
    let cgroup = Cgroup::v2("deaf");
    let events = format!("/v1/events?cgroup={}", cgroup.path());
    let ask = || {
        let mut stream = http::connect(daemon.socket()).expect("it listens");
        stream.write_all(&get(&events)).expect("it reads");
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    let deaf: Vec<_> = (0..10).map(|_| ask()).collect();
    let before = memory(&daemon);
    let reader = daemon.get(&events).stream();
    // All the while: whoever begins when it is over is slow.
    let reader = thread::spawn(move || until_the_last(&reader));
    let mut storm = Victim::start_as("storm", &[&made.to_string()], Some(&cgroup));
    let wait = json!({"targets": [{"cgroup": {"hierarchy": 0, "id": cgroup.id()}}]});
    let wait = daemon.post("/v1/wait", &wait).stream();
    storm.wait_within(Duration::from_mins(5));
    Victim::start(&["exit", "77"], Some(&cgroup)).wait();
    let read = reader.join().expect("it is told");
    let (told, slow, dropped) = count(&read);
    assert_eq!(slow, 0, "who reads is not slow");
    let all = made as u64 + 2;
    assert!(
        told <= all && told + dropped >= all,
        "{told} and {dropped} of {all}"
    );
    assert_eq!(wait.next_of("wait")["outcome"], "done");
    let after = memory(&daemon);
    assert!(after < before + GROWTH, "{before} before, {after} after");

    daemon.signal(Signal::TERM);
    let readers: Vec<_> = deaf
        .into_iter()
        .map(|stream| thread::spawn(move || lines(&rest(stream))))
        .collect();
    for reader in readers {
        let lines = reader.join().expect("it is told");
        let (told, slow, dropped) = count(&lines);
        assert!(slow > 0, "only {told} told, {dropped} dropped");
        assert!(
            told + slow + dropped >= all,
            "{told}, {slow} and {dropped} of {all}"
        );
        assert_eq!(lines.last(), Some(&json!({"type": "goodbye"})));
    }
}

/// What is told up to the exit of the one that is not of the storm.
fn until_the_last(reader: &http::Stream) -> Vec<Value> {
    let mut read = Vec::new();
    while read
        .last()
        .is_none_or(|it: &Value| it["status"]["code"] != 77 || it["comm"] == "storm")
    {
        read.push(reader.next());
    }
    read
}

#[test]
#[ignore = "needs root"]
fn a_reader_of_the_history_may_be_slow_and_costs_nothing() {
    let made = scale::emulated_or(5000, 20_000).to_string();
    let daemon = Daemon::start(&["--history", &made]);
    let cgroup = Cgroup::v2("slow");
    let storm = || {
        let mut storm = Victim::start_as("storm", &[&made], Some(&cgroup));
        storm.wait();
    };
    storm();
    let exits = format!("/v1/exits?cgroup={}", cgroup.path());
    let deaf: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = http::connect(daemon.socket()).expect("it listens");
            stream.write_all(&get(&exits)).expect("it reads");
            stream
        })
        .collect();
    assert_eq!(daemon.get("/healthz").status, 200);
    let before = memory(&daemon);
    storm();
    assert_eq!(daemon.get("/healthz").status, 200);
    let after = memory(&daemon);
    assert!(after < before + (8 << 20), "{before} before, {after} after");
    for stream in deaf {
        let (told, lost, _) = count(&lines(&rest(stream)));
        assert!(told > 0 && lost > 0, "{told} told, {lost} lost");
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn one_client_more_than_there_is_room_for_is_told_to_come_again() {
    let daemon = Daemon::start(&["--max-clients", "2"]);
    let socket = daemon.socket();
    let cgroup = Cgroup::v2("full");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let request = json!({"targets": [{"path": cgroup.path()}]});
    // Whoever asked for its health may still be on the way out.
    let seat = || loop {
        let answer = daemon.post("/v1/wait", &request);
        if answer.status == 200 {
            break answer.stream();
        }
    };
    let seats = [seat(), seat()];
    for lines in &seats {
        assert_eq!(lines.next()["type"], "armed");
    }
    for _ in 0..5 {
        let said = raw(socket, &get("/healthz"));
        assert_problem(&said, 503, "no room");
        assert!(said.contains("\r\nretry-after: 1\r\n"), "{said}");
    }
    // Also for more than it tells so at a time: closed, not left waiting.
    let silent: Vec<_> = (0..scale::emulated_or(40, 200))
        .map(|_| http::connect(socket).expect("it listens"))
        .collect();
    for stream in silent {
        assert!([0, 503].contains(&status(&rest(stream))));
    }
    drop(seats);
    Deadline::start().until("there is room again", || {
        status(&raw(socket, &get("/healthz"))) == 200
    });
    let _output = daemon.stop();
}
