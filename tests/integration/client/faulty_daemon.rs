//! Fake daemons that stall, close or send nonsense at every stage of a wait.

use std::os::unix::fs::PermissionsExt;

use probe_tests::{
    Connection, FakeDaemon, Output, Victim, Waiting, assert_fields, conditions, record,
    requirements, run, scale, words,
};
use serde_json::json;

use super::{VERDICT, backends};

type Script = fn(&mut Connection);

/// Failures before the daemon is armed: it never serves the wait.
const BEFORE: [(&str, Script); 14] = [
    ("closes at once", |_| {}),
    ("speaks no HTTP", |it| it.write("SSH-2.0-OpenSSH\r\n\r\n")),
    ("stalls before the head", Connection::stall),
    ("stalls in the head", |it| {
        write_and_stall(it, "HTTP/1.1 200 OK\r\ncontent-ty");
    }),
    ("stalls in the body", |it| {
        it.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
        write_and_stall(it, "content-length: 100\r\n\r\n{\"version\":");
    }),
    ("sends headers forever", |it| {
        it.write("HTTP/1.1 200 OK\r\n");
        for number in 0..1_000_000 {
            it.write(format!("x-{number}: more\r\n"));
        }
    }),
    ("speaks another version", |it| {
        it.send_info(2);
        it.stall();
    }),
    ("serves something else", |it| {
        it.respond("200 OK", "text/html", "<h1>It works!</h1>");
    }),
    ("has too many clients", |it| {
        it.respond("503 Service Unavailable", "text/plain", "later");
    }),
    ("refuses", |it| {
        it.send_info(1);
        let _request = it.next_request();
        let problem = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no",
        });
        let media_type = "application/problem+json";
        it.respond("400 Bad Request", media_type, &problem.to_string());
        it.stall();
    }),
    ("closes between two answers", |it| it.send_info(1)),
    ("begins and stalls", |it| {
        begin(it);
        send_and_stall(it, "{\"type\":\"arm");
    }),
    ("sends a goodbye first", |it| {
        begin(it);
        send_goodbye(it);
    }),
    ("sends a line that does not end", |it| {
        begin(it);
        send_and_stall(it, &"x".repeat(2 << 20));
    }),
];

/// Failures after the daemon is armed: it disconnects, or sends something wrong.
const AFTER: [(&str, Script); 11] = [
    ("closes", |_| {}),
    ("ends the answer", Connection::end_stream),
    ("stalls", Connection::stall),
    ("stalls in a line", |it| {
        send_and_stall(it, "{\"type\":\"me");
    }),
    ("closes in a line", |it| it.send_chunk("{\"type\":\"me")),
    ("sends a line that does not end", |it| {
        send_and_stall(it, &" ".repeat(2 << 20));
    }),
    ("sends a wrong record", |it| {
        send_and_stall(it, "{\"type\":\"exit\",\"pid\":-1}\n");
    }),
    ("breaks HTTP", |it| write_and_stall(it, "not a chunk\r\n")),
    ("reports a target that was not requested", |it| {
        send_and_stall(it, "{\"type\":\"met\",\"target\":1}\n");
    }),
    ("sends a goodbye", send_goodbye),
    ("sends lines of a later version", |it| {
        it.send_chunk("{\"type\":\"heartbeat\"}\n\n");
        send_and_stall(it, "{\"type\":\"met\",\"target\":0,\"why\":[]}\n");
    }),
];

fn write_and_stall(connection: &mut Connection, bytes: &str) {
    connection.write(bytes);
    connection.stall();
}

fn send_and_stall(connection: &mut Connection, chunk: &str) {
    connection.send_chunk(chunk);
    connection.stall();
}

fn send_goodbye(connection: &mut Connection) {
    connection.send_chunk("{\"type\":\"goodbye\"}\n");
    connection.end_stream();
}

/// Begins the answer to a wait.
fn begin(connection: &mut Connection) {
    connection.send_info(1);
    let _request = connection.next_request();
    connection.begin_stream();
}

/// All of them, or some on a machine where each takes seconds.
fn some(scripts: &[(&'static str, Script)]) -> impl Iterator<Item = (&'static str, Script)> {
    scripts.iter().copied().step_by(scale::emulated_or(4, 1))
}

fn armed_then(script: Script) -> FakeDaemon {
    FakeDaemon::start(move |connection| {
        let _request = connection.answer_armed();
        script(connection);
    })
}

/// Waits for a cgroup, and kills its process once the wait is armed. Returns the pid too.
fn wait(fake: &FakeDaemon, backend: &str) -> (Output, u32) {
    let (cgroup, mut victim) = Victim::in_v2("nonsense");
    let options = format!("--backend {backend} --socket {}", fake.socket());
    let line = format!("{options} --cgroup {}", cgroup.path());
    let waiting = Waiting::armed(&words(&line));
    waiting.assert_running();
    victim.kill();
    let output = waiting.finish();
    assert!(cgroup.procs().is_empty());
    (output, victim.pid())
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_never_arms_leaves_the_wait_to_another_backend() {
    for (what, script) in some(&BEFORE) {
        let (output, pid) = wait(&FakeDaemon::start(script), "auto");
        let verdict = output.verdict("done");
        let best = requirements::best_backend();
        assert_eq!(verdict["backend"], best, "{what}: {output:#?}");
        assert!(!backends(&verdict).contains(&"daemon"), "{what}");
        // The backend that serves instead misses no exit, if it can report any.
        if requirements::has_bpf() {
            assert_eq!(output.exits(), [pid], "{what}: {output:#?}");
        }
        assert!(output.stderr.contains("daemon"), "{what}: {output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_required_daemon_that_never_arms_is_exit_code_5() {
    let (cgroup, _victim) = Victim::in_v2("demanded");
    for (what, script) in some(&BEFORE) {
        // Each of these takes a whole timeout, and "stalls before the head" is enough.
        if what.starts_with("stalls in") || what == "begins and stalls" {
            continue;
        }
        let fake = FakeDaemon::start(script);
        let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
        for verb in ["wait", "kill"] {
            let output = run(&format!("{verb} --backend daemon {target}"));
            assert_eq!(output.code, Some(5), "{what}: {output:#?}");
            assert!(output.stdout.is_empty(), "{what}: {output:#?}");
        }
    }
    assert_eq!(cgroup.procs().len(), 1, "no process was killed");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_fails_after_arming_leaves_a_right_verdict() {
    for (what, script) in some(&AFTER) {
        for backend in ["auto", "daemon"] {
            let (output, _) = wait(&armed_then(script), backend);
            let verdict = output.verdict("done");
            let backends = backends(&verdict);
            assert!(backends.contains(&"daemon"), "{what}: {output:#?}");
            if backend == "daemon" {
                assert_eq!(backends[0], "daemon", "{what}: {output:#?}");
            }
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_false_verdict_of_the_daemon_ends_no_wait() {
    let (cgroup, mut victim) = Victim::in_v2("lies");
    let fake = armed_then(|it| {
        it.send_chunk("{\"type\":\"met\",\"target\":0}\n");
        it.send_chunk(VERDICT);
        it.end_stream();
    });
    let line = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
    let waiting = Waiting::armed(&words(&line));
    // The backend that joins reports this once it has checked the cgroup.
    waiting.wait_for_stderr("armed:");
    waiting.assert_running();
    victim.kill();
    let output = waiting.finish();
    let verdict = output.verdict("done");
    if requirements::has_bpf() {
        assert_eq!(backends(&verdict).last(), Some(&"bpf"), "{output:#?}");
        let mut lines = output.json().into_iter();
        let reports_exit = lines.any(|it| record::is_exit(&it) && it["pid"] == victim.pid());
        assert!(reports_exit, "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn an_unprivileged_wait_continues_after_the_daemon_disconnects() {
    let (cgroup, mut victim) = Victim::in_v2("plain");
    let fake = armed_then(|_| {});
    let open = PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(fake.socket(), open).expect("the test owns the file");
    let line = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
    let waiting = Waiting::armed_under(conditions::without_privilege, &line);
    waiting.wait_for_stderr("without the daemon");
    victim.kill();
    let verdict = waiting.finish().verdict("done");
    assert_eq!(verdict["backend"], "pidfd", "{verdict}");
    assert!(backends(&verdict).contains(&"daemon"), "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_never_arms_prevents_no_kill() {
    for (what, script) in some(&BEFORE) {
        let (cgroup, mut victim) = Victim::in_v2("stalled");
        let fake = FakeDaemon::start(script);
        let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
        let verdict = run(&format!("kill --json {target}")).verdict("done");
        assert!(!backends(&verdict).contains(&"daemon"), "{what}");
        assert_eq!(victim.wait(), libc::SIGKILL, "{what}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_stalls_after_arming_delays_the_verdict_only_briefly() {
    let (cgroup, _victim) = Victim::in_v2("endless");
    let fake = armed_then(Connection::stall);
    let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
    let output = run(&format!("kill --json {target}"));
    let verdict = output.verdict("done");
    assert_fields(&verdict, &json!({"backend": "daemon", "exits": null}));
    output.assert_ended(0, &["exits may be missing"]);
    // `elapsed_ns` does not include that delay.
    let elapsed_ns = record::number(&verdict, "elapsed_ns");
    assert!(elapsed_ns < 450_000_000, "{verdict}");
}
