//! The backends, judged by their system calls: strace lists them, and seccomp denies them
//! or kills the process.

mod named;

use std::process::Command;

use probe_tests::{
    Cgroup, Victim, Waiting, assert_fields,
    conditions::{self, Condition},
    kernel, probe_in, requirements, run, run_in, words,
};
use serde_json::{Value, json};

/// System calls of the backend `bpf` that `pidfd` does not need.
const BPF: &str = "bpf,perf_event_open";

/// System calls of the other backends that `poll` does not need.
const ALL: &str = "bpf,perf_event_open,pidfd_open,inotify_init1,inotify_add_watch";

/// System calls that each backend must not make.
const FORBIDDEN: [(&str, &str); 2] = [("pidfd", BPF), ("poll", ALL)];

/// `probe` that is killed at the first of these system calls.
fn deadly(calls: &str, args: &[&str]) -> Command {
    conditions::denied(calls, "KILL", args)
}

/// A target of a wait, a process or its cgroup.
struct Target {
    victim: Victim,
    cgroup: Option<Cgroup>,
}

impl Target {
    /// One of each kind.
    fn all() -> [Self; 3] {
        let [v2, v1] = Cgroup::both("target").map(Some);
        [v2, v1, None].map(|cgroup| Self {
            victim: Victim::spawn(&["pause"], cgroup.as_ref()),
            cgroup,
        })
    }

    /// The option that names it.
    fn option(&self) -> String {
        match &self.cgroup {
            Some(cgroup) => format!("--cgroup {}", cgroup.path()),
            None => format!("--pid {}", self.victim.pid()),
        }
    }

    fn is_v1(&self) -> bool {
        self.option().contains("/pids/")
    }
}

/// The verdict of a wait under this condition. The target is killed once the wait is armed.
fn done(mut target: Target, more: &str, condition: impl Fn(&[&str]) -> Command) -> Value {
    let line = format!("{} {more}", target.option());
    let waiting = Waiting::armed_under(condition, &line);
    target.victim.kill();
    waiting.finish().verdict("done")
}

#[test]
#[ignore = "needs root"]
fn the_lower_backends_work_without_the_system_calls_of_the_higher() {
    for (backend, forbidden) in FORBIDDEN {
        for target in Target::all() {
            let is_doubtful = target.is_v1() && kernel::tasks_leave_cgroup_late();
            let deadly = |args: &[&str]| deadly(forbidden, args);
            let verdict = done(target, &format!("--backend {backend}"), deadly);
            assert_eq!(verdict["exact"], !is_doubtful, "{verdict}");
            let served = verdict["backend"].as_str().expect("a string");
            assert!([backend, "poll"].contains(&served), "{verdict}");
        }
    }
}

/// Shows that [`deadly`] kills, on which the test above relies.
#[test]
#[ignore = "needs root"]
fn the_higher_backends_die_without_their_system_calls() {
    let (cgroup, _victim) = Victim::in_v2("deadly");
    for (backend, forbidden) in [("bpf", "bpf"), ("auto", "bpf"), ("pidfd", "pidfd_open")] {
        let line = format!("wait --backend {backend} --cgroup {}", cgroup.path());
        let output = run_in(|args| deadly(forbidden, args), &line);
        assert_eq!(output.signal, Some(libc::SIGSYS), "{backend}: {output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn auto_takes_the_best_permitted_backend_and_the_verdicts_agree() {
    let conditions: [(&str, Condition); 3] = [
        (requirements::best_backend(), conditions::unrestricted),
        ("pidfd", |args| conditions::denied(BPF, "EPERM", args)),
        ("poll", |args| conditions::denied(ALL, "ENOSYS", args)),
    ];
    for index in 0..3 {
        let verdicts = conditions.map(|(backend, condition)| {
            let target = Target::all().into_iter().nth(index).expect("three items");
            let is_v1 = target.is_v1();
            let verdict = done(target, "", condition);
            // v1 has no notification that could wake the backend `pidfd`, unless it watches
            // the members.
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

/// A command under strace, which prints these system calls.
fn strace(calls: &str, inner: &Command) -> Command {
    let mut command = requirements::tool("strace");
    command
        .args(["-f", "-qq", "-e", "signal=none", "-e"])
        .arg(format!("trace={calls}"))
        .arg(inner.get_program())
        .args(inner.get_args());
    command
}

/// The system calls of a wait that times out with this backend, as strace prints them.
fn traced(backend: &str, cgroup: &Cgroup) -> String {
    let line = format!("wait -q --backend {backend} -t 200ms --until exited");
    let line = format!("{line} --cgroup {}", cgroup.path());
    let output = probe_in(&mut strace(ALL, &conditions::unrestricted(&words(&line))));
    assert_eq!(output.code, Some(3), "{output:#?}");
    output.stderr
}

#[test]
#[ignore = "needs root"]
fn strace_shows_only_the_system_calls_of_the_requested_backend() {
    let (cgroup, _victim) = Victim::in_v2("strace");

    if requirements::has_bpf() {
        let bpf = traced("bpf", &cgroup);
        let bpf_calls = ["bpf(BPF_PROG_LOAD", "bpf(BPF_RAW_TRACEPOINT_OPEN"];
        for call in [&bpf_calls[..], &["pidfd_open("]].concat() {
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

/// How long a wait asks to sleep, in milliseconds, after BPF has joined; `u64::MAX` stands
/// for a sleep without a timeout.
fn sleeps(cgroup: &Cgroup, condition: impl Fn(&[&str]) -> Command) -> (Waiting, Vec<u64>) {
    const LOOKS: usize = 40;
    let inner = condition(&Waiting::args(&["--cgroup", cgroup.path()]));
    let calls = "epoll_wait,epoll_pwait,epoll_pwait2";
    let waiting = Waiting::start(&mut strace(calls, &inner));
    waiting.wait_for_stderr("no exit is missed from here on");
    let mut sleeps = Vec::new();
    while sleeps.len() < LOOKS && sleeps.iter().all(|&it| it <= OFTEN_MS) {
        sleeps.extend(sleep(&waiting.next_stderr_line()));
    }
    (waiting, sleeps)
}

/// The longest sleep of a wait that only the timer wakes.
const OFTEN_MS: u64 = 110;

/// The sleep in a line of strace, such as `epoll_wait(3, [], 1024, 50) = 0`.
fn sleep(line: &str) -> Option<u64> {
    let (_, call) = line.split_once("epoll_")?;
    let (arguments, _) = call.rsplit_once(") ")?;
    let arguments = arguments.strip_suffix(", NULL, 8").unwrap_or(arguments);
    let milliseconds: i64 = arguments.rsplit(", ").next()?.parse().ok()?;
    Some(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

/// The programs do not wake where `cgroup.events` does, and without pidfds the wait does not
/// poll that file: then the timer must not rely on the ring.
#[test]
#[ignore = "needs root"]
fn bpf_without_pidfds_polls_as_often_as_the_timer_alone() {
    requirements::require_bpf();
    let denied = |args: &[&str]| conditions::denied("pidfd_open", "ENOSYS", args);
    let conditions: [Condition; 2] = [conditions::unrestricted, denied];
    let is_often = conditions.map(|condition| {
        let (cgroup, mut victim) = Victim::in_v2("sleeps");
        let (waiting, sleeps) = sleeps(&cgroup, condition);
        victim.kill();
        waiting.finish().verdict("done");
        sleeps.iter().all(|&it| it <= OFTEN_MS)
    });
    assert_eq!(is_often, [false, true]);

    for target in Target::all() {
        let verdict = done(target, "", denied);
        assert_eq!(verdict["backend"], "bpf", "{verdict}");
        let woken_by = verdict["woken_by"].as_str().expect("the wait was woken");
        assert!(["ring", "timer"].contains(&woken_by), "{verdict}");
    }
}

#[test]
#[ignore = "needs root"]
fn bpf_takes_over_from_the_backend_that_served_while_it_loaded() {
    requirements::require_bpf();
    let [target, ..] = Target::all();
    let verdict = done(target, "", conditions::unrestricted);
    assert_fields(&verdict, &json!({"backends": ["pidfd", "bpf"]}));
    // A backend that is requested by name is loaded before the first look.
    let (cgroup, _victim) = Victim::in_v2("first");
    let line = format!("wait --json --backend bpf -t 0 --cgroup {}", cgroup.path());
    assert_fields(&run(&line).last_line(), &json!({"backends": ["bpf"]}));
}
