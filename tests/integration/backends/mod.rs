//! A backend is what it does, not what it says: judged by the system calls that
//! the process makes, or does not survive.

mod named;

use std::process::Command;

use probe_tests::{Cgroup, Victim, Waiting, conditions, kernel, probe, probe_in, requirements};
use rustix::process::Signal;
use serde_json::{Value, json};

/// What only the backends above pidfd need.
const BPF: &str = "bpf,perf_event_open";

/// What only the backends above poll need.
const ALL: &str = "bpf,perf_event_open,pidfd_open,inotify_init1,inotify_add_watch";

/// What each backend may not do.
const FORBIDDEN: [(&str, &str); 2] = [("pidfd", BPF), ("poll", ALL)];

/// Killed at the first of these calls.
fn deadly(calls: &str, args: &[&str]) -> Command {
    conditions::denied(calls, "KILL", args)
}

/// What is waited for, and how it is ended.
enum Prey {
    Cgroup(Cgroup, Victim),
    Process(Victim),
}

impl Prey {
    /// One of each kind.
    fn all() -> [Self; 3] {
        [Cgroup::v2("prey"), Cgroup::v1("pids", "prey")]
            .map(|cgroup| {
                let victim = Victim::spawn(&["pause"], Some(&cgroup));
                Self::Cgroup(cgroup, victim)
            })
            .into_iter()
            .chain([Self::Process(Victim::spawn(&["pause"], None))])
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| unreachable!("three"))
    }

    fn args(&self) -> [String; 2] {
        match self {
            Self::Cgroup(cgroup, _) => ["--cgroup".to_owned(), cgroup.path().to_owned()],
            Self::Process(victim) => ["--pid".to_owned(), victim.pid().to_string()],
        }
    }

    fn is_v1(&self) -> bool {
        self.args()[1].contains("/pids/")
    }

    fn end(self) {
        let (Self::Cgroup(_, mut victim) | Self::Process(mut victim)) = self;
        victim.signal(Signal::KILL);
        victim.wait();
    }
}

/// Waits under some condition for something that ends when the wait is armed.
fn done(prey: Prey, more: &[&str], condition: impl Fn(&[&str]) -> Command) -> Value {
    let [flag, name] = prey.args();
    let args = [&[&flag, name.as_str()], more].concat();
    let waiting = Waiting::armed_in(&mut condition(&Waiting::args(&args)));
    prey.end();
    waiting.finish().verdict("done")
}

#[test]
#[ignore = "needs root"]
fn the_lower_backends_live_without_the_calls_of_the_higher() {
    for (backend, forbidden) in FORBIDDEN {
        for prey in Prey::all() {
            let is_doubtful = prey.is_v1() && kernel::tasks_leave_cgroup_late();
            let verdict = done(prey, &["--backend", backend], |args| {
                deadly(forbidden, args)
            });
            assert_eq!(verdict["exact"], !is_doubtful, "{verdict}");
            let served = verdict["backend"].as_str().expect("a word");
            assert!([backend, "poll"].contains(&served), "{verdict}");
        }
    }
}

/// Without this the test above could pass because nothing is ever killed.
#[test]
#[ignore = "needs root"]
fn the_higher_backends_die_of_the_calls_that_they_are_made_of() {
    let cgroup = Cgroup::v2("deadly");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    for (backend, forbidden) in [("bpf", "bpf"), ("auto", "bpf"), ("pidfd", "pidfd_open")] {
        let args = ["wait", "--backend", backend, "--cgroup", cgroup.path()];
        let output = probe_in(&mut deadly(forbidden, &args));
        assert_eq!(output.signal, Some(libc::SIGSYS), "{backend}: {output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn auto_takes_the_best_that_is_not_denied_and_the_verdicts_agree() {
    for prey in [0, 1, 2] {
        let verdicts = [
            (
                requirements::best_backend(),
                conditions::unrestricted as fn(&[&str]) -> Command,
            ),
            ("pidfd", |args| conditions::denied(BPF, "EPERM", args)),
            ("poll", |args| conditions::denied(ALL, "ENOSYS", args)),
        ]
        .map(|(backend, condition)| {
            let prey = Prey::all().into_iter().nth(prey).expect("three");
            let is_v1 = prey.is_v1();
            let verdict = done(prey, &[], condition);
            // v1 has no notifications that a pidfd backend could be woken by,
            // unless it watches the members.
            if !is_v1 {
                assert_eq!(verdict["backend"], backend, "{verdict}");
            }
            let backends = verdict["backends"].as_array().expect("a list");
            assert_eq!(backends.last(), Some(&verdict["backend"]));
            let is_doubtful = is_v1 && kernel::tasks_leave_cgroup_late() && backend != "bpf";
            assert_eq!(verdict["exact"], !is_doubtful, "{verdict}");
            [&verdict["outcome"], &verdict["until"]].map(Value::clone)
        });
        assert_eq!(verdicts[0], verdicts[1]);
        assert_eq!(verdicts[0], verdicts[2]);
    }
}

/// What a wait that times out with this backend calls, as strace saw it.
fn traced(backend: &str, cgroup: &Cgroup) -> String {
    let args = ["wait", "-q", "--backend", backend, "-t", "200ms"];
    let mut command = requirements::tool("strace");
    command
        .args(["-f", "-qq", "-e", "signal=none", "-e"])
        .arg(format!("trace={ALL}"))
        .arg(conditions::unrestricted(&[]).get_program())
        .args(args)
        .args(["--until", "exited", "--cgroup", cgroup.path()]);
    let output = probe_in(&mut command);
    assert_eq!(output.code, Some(3), "{output:#?}");
    output.stderr
}

#[test]
#[ignore = "needs root"]
fn strace_sees_the_calls_of_the_backend_that_was_asked_for_and_no_others() {
    let cgroup = Cgroup::v2("strace");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));

    if requirements::has_bpf() {
        let bpf = traced("bpf", &cgroup);
        for call in [
            "bpf(BPF_PROG_LOAD",
            "bpf(BPF_RAW_TRACEPOINT_OPEN",
            "pidfd_open(",
        ] {
            assert!(bpf.contains(call), "no {call} in {bpf}");
        }
    }
    let pidfd = traced("pidfd", &cgroup);
    assert!(pidfd.contains("pidfd_open("), "{pidfd}");
    for call in ["bpf(", "perf_event_open("] {
        assert!(!pidfd.contains(call), "{call} in {pidfd}");
    }
    let poll = traced("poll", &cgroup);
    for call in ALL.split(',') {
        assert!(!poll.contains(&format!("{call}(")), "{call} in {poll}");
    }
}

/// How long a wait asks to sleep, in milliseconds, from when BPF has joined;
/// `u64::MAX` stands for a sleep without end.
fn sleeps(cgroup: &Cgroup, condition: impl Fn(&[&str]) -> Command) -> (Waiting, Vec<u64>) {
    const LOOKS: usize = 40;
    let inner = condition(&Waiting::args(&["--cgroup", cgroup.path()]));
    let mut command = requirements::tool("strace");
    command
        .args(["-f", "-qq", "-e", "signal=none", "-e"])
        .arg("trace=epoll_wait,epoll_pwait,epoll_pwait2")
        .arg(inner.get_program())
        .args(inner.get_args());
    let waiting = Waiting::start(&mut command);
    waiting.wait_for_stderr("no exit is missed from here on");
    let mut sleeps = Vec::new();
    while sleeps.len() < LOOKS && sleeps.iter().all(|&it| it <= OFTEN_MS) {
        sleeps.extend(sleep(&waiting.next_stderr_line()));
    }
    (waiting, sleeps)
}

/// No timer that nobody helps sleeps longer.
const OFTEN_MS: u64 = 110;

/// What a line of strace tells of a sleep: `epoll_wait(3, [], 1024, 50) = 0`.
fn sleep(line: &str) -> Option<u64> {
    let (_, call) = line.split_once("epoll_")?;
    let (arguments, _) = call.rsplit_once(") ")?;
    let arguments = arguments.strip_suffix(", NULL, 8").unwrap_or(arguments);
    let milliseconds: i64 = arguments.rsplit(", ").next()?.parse().ok()?;
    Some(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

/// The ring leaves the waking to those who poll `cgroup.events`, and without
/// pidfds nobody does: then the timer must not rely on the ring.
#[test]
#[ignore = "needs root"]
fn bpf_without_pidfds_looks_as_often_as_the_timer_alone() {
    requirements::require_bpf();
    let denied = |args: &[&str]| conditions::denied("pidfd_open", "ENOSYS", args);
    let conditions = [conditions::unrestricted as fn(&[&str]) -> Command, denied];
    let is_often = conditions.map(|condition| {
        let cgroup = Cgroup::v2("sleeps");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let (waiting, sleeps) = sleeps(&cgroup, condition);
        victim.signal(Signal::KILL);
        victim.wait();
        waiting.finish().verdict("done");
        sleeps.iter().all(|&it| it <= OFTEN_MS)
    });
    assert_eq!(is_often, [false, true]);

    for prey in Prey::all() {
        let verdict = done(prey, &[], denied);
        assert_eq!(verdict["backend"], "bpf", "{verdict}");
        let woken_by = verdict["woken_by"].as_str().expect("it had to wait");
        assert!(["ring", "timer"].contains(&woken_by), "{verdict}");
    }
}

#[test]
#[ignore = "needs root"]
fn bpf_takes_over_from_what_served_while_it_was_loaded() {
    requirements::require_bpf();
    let verdict = done(
        Prey::all().into_iter().next().expect("three"),
        &[],
        conditions::unrestricted,
    );
    assert_eq!(verdict["backends"], json!(["pidfd", "bpf"]), "{verdict}");
    // One that is asked for by name is loaded before the first look.
    let cgroup = Cgroup::v2("first");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let output = probe(&[
        "wait",
        "--json",
        "--backend",
        "bpf",
        "-t",
        "0",
        "--cgroup",
        cgroup.path(),
    ]);
    let verdict = output.json().pop().expect("a verdict");
    assert_eq!(verdict["backends"], json!(["bpf"]), "{verdict}");
}
