//! Fake daemons that stall, close or send nonsense at every stage of a wait.

use probe_tests::{
    Cgroup, Connection, FakeDaemon, Output, Victim, Waiting, conditions, probe, requirements, scale,
};
use rustix::process::Signal;

use super::{VERDICT, backends, socket_option};

type Script = fn(&mut Connection);

/// Failures before the daemon is armed: it never serves the wait.
const BEFORE: [(&str, Script); 14] = [
    ("closes at once", |_| {}),
    ("speaks no HTTP", |connection| {
        connection.write("SSH-2.0-OpenSSH\r\n\r\n");
    }),
    ("stalls before the head", Connection::stall),
    ("stalls in the head", |connection| {
        connection.write("HTTP/1.1 200 OK\r\ncontent-ty");
        connection.stall();
    }),
    ("stalls in the body", |connection| {
        connection.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
        connection.write("content-length: 100\r\n\r\n{\"version\":");
        connection.stall();
    }),
    ("sends headers forever", |connection| {
        connection.write("HTTP/1.1 200 OK\r\n");
        for number in 0..1_000_000 {
            connection.write(format!("x-{number}: more\r\n"));
        }
    }),
    ("speaks another version", |connection| {
        connection.send_info(2);
        connection.stall();
    }),
    ("serves something else", |connection| {
        connection.respond("200 OK", "text/html", "<h1>It works!</h1>");
    }),
    ("has too many clients", |connection| {
        connection.respond("503 Service Unavailable", "text/plain", "later");
    }),
    ("refuses", |connection| {
        connection.send_info(1);
        let _asked = connection.next_request();
        let problem = "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\
            \"detail\":\"no\"}";
        connection.respond("400 Bad Request", "application/problem+json", problem);
        connection.stall();
    }),
    ("closes between two answers", |connection| {
        connection.send_info(1)
    }),
    ("begins and stalls", |connection| {
        connection.send_info(1);
        let _asked = connection.next_request();
        connection.begin_stream();
        connection.send_chunk("{\"type\":\"arm");
        connection.stall();
    }),
    ("sends a goodbye first", |connection| {
        connection.send_info(1);
        let _asked = connection.next_request();
        connection.begin_stream();
        connection.send_chunk("{\"type\":\"goodbye\"}\n");
        connection.end_stream();
    }),
    ("sends a line that does not end", |connection| {
        connection.send_info(1);
        let _asked = connection.next_request();
        connection.begin_stream();
        connection.send_chunk(&"x".repeat(2 << 20));
        connection.stall();
    }),
];

/// Failures after the daemon is armed: it disconnects, or sends something wrong.
const AFTER: [(&str, Script); 11] = [
    ("closes", |_| {}),
    ("ends the answer", Connection::end_stream),
    ("stalls", Connection::stall),
    ("stalls in a line", |connection| {
        connection.send_chunk("{\"type\":\"me");
        connection.stall();
    }),
    ("closes in a line", |connection| {
        connection.send_chunk("{\"type\":\"me")
    }),
    ("sends a line that does not end", |connection| {
        connection.send_chunk(&" ".repeat(2 << 20));
        connection.stall();
    }),
    ("sends a wrong record", |connection| {
        connection.send_chunk("{\"type\":\"exit\",\"pid\":-1}\n");
        connection.stall();
    }),
    ("breaks HTTP", |connection| {
        connection.write("this is no chunk\r\n");
        connection.stall();
    }),
    ("reports a target that was not requested", |connection| {
        connection.send_chunk("{\"type\":\"met\",\"target\":1}\n");
        connection.stall();
    }),
    ("sends a goodbye", |connection| {
        connection.send_chunk("{\"type\":\"goodbye\"}\n");
        connection.end_stream();
    }),
    ("sends lines of a later version", |connection| {
        connection
            .send_chunk("{\"type\":\"heartbeat\"}\n\n{\"type\":\"met\",\"target\":0,\"why\":[]}\n");
        connection.stall();
    }),
];

/// All of them, or some on a machine where each takes seconds.
fn some(scripts: &[(&'static str, Script)]) -> impl Iterator<Item = (&'static str, Script)> {
    scripts.iter().copied().step_by(scale::emulated_or(4, 1))
}

fn armed_then(script: Script) -> FakeDaemon {
    FakeDaemon::start(move |connection| {
        let _asked = connection.answer_armed();
        script(connection);
    })
}

/// Waits for a cgroup whose process is killed once the wait is armed; returns its pid too.
fn wait(fake: &FakeDaemon, more: &[&str]) -> (Output, u32) {
    let cgroup = Cgroup::v2("nonsense");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let [flag, socket] = socket_option(fake);
    let args = [&flag, socket.as_str(), "--cgroup", cgroup.path()];
    let waiting = Waiting::armed(&[&args, more].concat());
    waiting.assert_running();
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    assert!(cgroup.procs().is_empty());
    (output, victim.pid())
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_never_arms_leaves_the_wait_to_another_backend() {
    for (what, script) in some(&BEFORE) {
        let (output, pid) = wait(&FakeDaemon::start(script), &[]);
        let verdict = output.verdict("done");
        let best = requirements::best_backend();
        assert_eq!(verdict["backend"], best, "{what}: {output:#?}");
        assert!(!backends(&verdict).contains(&"daemon"), "{what}");
        // The backend that serves instead misses no exit, if it can report any.
        if requirements::has_bpf() {
            assert_eq!(output.json()[0]["pid"], pid, "{what}: {output:#?}");
        }
        assert!(output.stderr.contains("daemon"), "{what}: {output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_required_daemon_that_never_arms_is_exit_code_5() {
    let cgroup = Cgroup::v2("demanded");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    for (what, script) in some(&BEFORE) {
        // Each of these takes a whole timeout, and "stalls before the head" is enough.
        if what.starts_with("stalls in") || what == "begins and stalls" {
            continue;
        }
        let fake = FakeDaemon::start(script);
        let [flag, socket] = socket_option(&fake);
        for verb in ["wait", "kill"] {
            let target = ["--cgroup", cgroup.path()];
            let args = [verb, "--backend", "daemon", &flag, &socket];
            let output = probe(&[&args[..], &target].concat());
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
            let fake = armed_then(script);
            let (output, _) = wait(&fake, &["--backend", backend]);
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
    let cgroup = Cgroup::v2("lies");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let pid = victim.pid();
    let fake = armed_then(|connection| {
        connection.send_chunk("{\"type\":\"met\",\"target\":0}\n");
        connection.send_chunk(VERDICT);
        connection.end_stream();
    });
    let [flag, socket] = socket_option(&fake);
    let waiting = Waiting::armed(&[&flag, &socket, "--cgroup", cgroup.path()]);
    // The backend that joins reports this once it has checked the cgroup.
    waiting.wait_for_stderr("armed:");
    waiting.assert_running();
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    let verdict = output.verdict("done");
    assert_eq!(verdict["outcome"], "done", "{output:#?}");
    if requirements::has_bpf() {
        assert_eq!(backends(&verdict).last(), Some(&"bpf"), "{output:#?}");
        assert_eq!(output.json()[0]["pid"], pid, "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn an_unprivileged_wait_continues_after_the_daemon_disconnects() {
    let cgroup = Cgroup::v2("plain");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let fake = armed_then(|_| {});
    std::fs::set_permissions(
        fake.socket(),
        std::os::unix::fs::PermissionsExt::from_mode(0o666),
    )
    .expect("the test owns the file");
    let [flag, socket] = socket_option(&fake);
    let args = Waiting::args(&[&flag, &socket, "--cgroup", cgroup.path()]);
    let waiting = Waiting::armed_in(&mut conditions::without_privilege(&args));
    waiting.wait_for_stderr("without the daemon");
    victim.signal(Signal::KILL);
    victim.wait();
    let verdict = waiting.finish().verdict("done");
    assert_eq!(verdict["backend"], "pidfd", "{verdict}");
    assert!(backends(&verdict).contains(&"daemon"), "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_never_arms_prevents_no_kill() {
    for (what, script) in some(&BEFORE) {
        let cgroup = Cgroup::v2("stalled");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let fake = FakeDaemon::start(script);
        let [flag, socket] = socket_option(&fake);
        let output = probe(&["kill", "--json", &flag, &socket, "--cgroup", cgroup.path()]);
        let verdict = output.verdict("done");
        assert!(!backends(&verdict).contains(&"daemon"), "{what}");
        assert_eq!(victim.wait(), libc::SIGKILL, "{what}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_stalls_after_arming_delays_the_verdict_only_briefly() {
    let cgroup = Cgroup::v2("endless");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let fake = armed_then(Connection::stall);
    let [flag, socket] = socket_option(&fake);
    let output = probe(&["kill", "--json", &flag, &socket, "--cgroup", cgroup.path()]);
    let verdict = output.verdict("done");
    assert_eq!(
        (&verdict["backend"], &verdict["exits"]),
        (&"daemon".into(), &0.into())
    );
    assert!(
        output.stderr.contains("exits may be missing"),
        "{output:#?}"
    );
    // `elapsed_ns` does not include that delay.
    assert!(
        verdict["elapsed_ns"].as_u64().expect("a number") < 450_000_000,
        "{verdict}"
    );
}
