//! A daemon that stalls, dies or raves in the middle of anything.

use probe_tests::{
    Cgroup, Connection, FakeDaemon, Output, Victim, Waiting, conditions, probe, requirements, scale,
};
use rustix::process::Signal;

use super::{VERDICT, backends, by};

type Script = fn(&mut Connection);

/// Before it is armed: it never takes its seat.
const BEFORE: [(&str, Script); 14] = [
    ("closes at once", |_| {}),
    ("speaks no HTTP", |caller| {
        caller.write("SSH-2.0-OpenSSH\r\n\r\n");
    }),
    ("stalls before the head", Connection::stall),
    ("stalls in the head", |caller| {
        caller.write("HTTP/1.1 200 OK\r\ncontent-ty");
        caller.stall();
    }),
    ("stalls in the body", |caller| {
        caller.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
        caller.write("content-length: 100\r\n\r\n{\"version\":");
        caller.stall();
    }),
    ("sends headers for ever", |caller| {
        caller.write("HTTP/1.1 200 OK\r\n");
        for number in 0..1_000_000 {
            caller.write(format!("x-{number}: more\r\n"));
        }
    }),
    ("speaks another version", |caller| {
        caller.send_info(2);
        caller.stall();
    }),
    ("serves something else", |caller| {
        caller.respond("200 OK", "text/html", "<h1>It works!</h1>");
    }),
    ("has no room", |caller| {
        caller.respond("503 Service Unavailable", "text/plain", "later");
    }),
    ("refuses", |caller| {
        caller.send_info(1);
        let _asked = caller.next_request();
        let problem = "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\
            \"detail\":\"no\"}";
        caller.respond("400 Bad Request", "application/problem+json", problem);
        caller.stall();
    }),
    ("closes between two answers", |caller| caller.send_info(1)),
    ("begins and stalls", |caller| {
        caller.send_info(1);
        let _asked = caller.next_request();
        caller.begin_stream();
        caller.send_chunk("{\"type\":\"arm");
        caller.stall();
    }),
    ("says goodbye first", |caller| {
        caller.send_info(1);
        let _asked = caller.next_request();
        caller.begin_stream();
        caller.send_chunk("{\"type\":\"goodbye\"}\n");
        caller.end_stream();
    }),
    ("has a line that does not end", |caller| {
        caller.send_info(1);
        let _asked = caller.next_request();
        caller.begin_stream();
        caller.send_chunk(&"x".repeat(2 << 20));
        caller.stall();
    }),
];

/// After it: it leaves its seat, or stays and tells lies.
const AFTER: [(&str, Script); 11] = [
    ("closes", |_| {}),
    ("ends the answer", Connection::end),
    ("stalls", Connection::stall),
    ("stalls in a line", |caller| {
        caller.send_chunk("{\"type\":\"me");
        caller.stall();
    }),
    ("closes in a line", |caller| {
        caller.send_chunk("{\"type\":\"me")
    }),
    ("has a line that does not end", |caller| {
        caller.send_chunk(&" ".repeat(2 << 20));
        caller.stall();
    }),
    ("raves", |caller| {
        caller.send_chunk("{\"type\":\"exit\",\"pid\":-1}\n");
        caller.stall();
    }),
    ("breaks HTTP", |caller| {
        caller.write("this is no chunk\r\n");
        caller.stall();
    }),
    ("speaks of what nobody asked for", |caller| {
        caller.send_chunk("{\"type\":\"met\",\"target\":1}\n");
        caller.stall();
    }),
    ("says goodbye", |caller| {
        caller.send_chunk("{\"type\":\"goodbye\"}\n");
        caller.end_stream();
    }),
    ("is of a later version", |caller| {
        caller
            .send_chunk("{\"type\":\"heartbeat\"}\n\n{\"type\":\"met\",\"target\":0,\"why\":[]}\n");
        caller.stall();
    }),
];

/// All of them; fewer where each takes seconds.
fn some(scripts: &[(&'static str, Script)]) -> impl Iterator<Item = (&'static str, Script)> {
    scripts.iter().copied().step_by(scale::emulated_or(4, 1))
}

fn armed_then(script: Script) -> FakeDaemon {
    FakeDaemon::start(move |caller| {
        let _asked = caller.answer_armed();
        script(caller);
    })
}

/// Waits for a cgroup whose process dies once the wait is armed.
fn wait(impostor: &FakeDaemon, more: &[&str]) -> (Output, u32) {
    let cgroup = Cgroup::v2("nonsense");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let [flag, socket] = by(impostor);
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
fn a_daemon_that_is_not_armed_leaves_the_wait_to_others() {
    for (what, script) in some(&BEFORE) {
        let (output, pid) = wait(&FakeDaemon::start(script), &[]);
        let verdict = output.verdict("done");
        let best = requirements::best_backend();
        assert_eq!(verdict["backend"], best, "{what}: {output:#?}");
        assert!(!backends(&verdict).contains(&"daemon"), "{what}");
        // What serves instead misses no exit, if any can be told of.
        if requirements::has_bpf() {
            assert_eq!(output.json()[0]["pid"], pid, "{what}: {output:#?}");
        }
        assert!(output.stderr.contains("daemon"), "{what}: {output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_is_demanded_and_of_no_use_is_exit_5() {
    let cgroup = Cgroup::v2("demanded");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    for (what, script) in some(&BEFORE) {
        // Each of these costs the whole patience; one stands for all.
        if what.starts_with("stalls in") || what == "begins and stalls" {
            continue;
        }
        let impostor = FakeDaemon::start(script);
        let [flag, socket] = by(&impostor);
        for verb in ["wait", "kill"] {
            let target = ["--cgroup", cgroup.path()];
            let args = [verb, "--backend", "daemon", &flag, &socket];
            let output = probe(&[&args[..], &target].concat());
            assert_eq!(output.code, Some(5), "{what}: {output:#?}");
            assert!(output.stdout.is_empty(), "{what}: {output:#?}");
        }
    }
    assert_eq!(cgroup.procs().len(), 1, "nobody was killed");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_leaves_its_seat_leaves_a_right_verdict() {
    for (what, script) in some(&AFTER) {
        for backend in ["auto", "daemon"] {
            let impostor = armed_then(script);
            let (output, _) = wait(&impostor, &["--backend", backend]);
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
fn a_daemon_that_lies_ends_no_wait() {
    let cgroup = Cgroup::v2("lies");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let pid = victim.pid();
    let impostor = armed_then(|caller| {
        caller.send_chunk("{\"type\":\"met\",\"target\":0}\n");
        caller.send_chunk(VERDICT);
        caller.end_stream();
    });
    let [flag, socket] = by(&impostor);
    let waiting = Waiting::armed(&[&flag, &socket, "--cgroup", cgroup.path()]);
    // Those who serve besides say so when they have looked.
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
fn a_wait_goes_on_without_privilege_where_the_daemon_leaves() {
    let cgroup = Cgroup::v2("plain");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let impostor = armed_then(|_| {});
    std::fs::set_permissions(
        impostor.socket(),
        std::os::unix::fs::PermissionsExt::from_mode(0o666),
    )
    .expect("it is ours");
    let [flag, socket] = by(&impostor);
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
fn a_daemon_that_stalls_keeps_nobody_from_a_kill() {
    for (what, script) in some(&BEFORE) {
        let cgroup = Cgroup::v2("stalled");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let impostor = FakeDaemon::start(script);
        let [flag, socket] = by(&impostor);
        let output = probe(&["kill", "--json", &flag, &socket, "--cgroup", cgroup.path()]);
        let verdict = output.verdict("done");
        assert!(!backends(&verdict).contains(&"daemon"), "{what}");
        assert_eq!(victim.wait(), libc::SIGKILL, "{what}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_never_ends_holds_the_verdict_up_for_a_moment_only() {
    let cgroup = Cgroup::v2("endless");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let impostor = armed_then(Connection::stall);
    let [flag, socket] = by(&impostor);
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
    // The moment is not counted.
    assert!(
        verdict["elapsed_ns"].as_u64().expect("a number") < 450_000_000,
        "{verdict}"
    );
}
