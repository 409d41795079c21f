//! The backends, judged by their system calls: strace lists them, and seccomp denies them
//! or kills the process.

mod named;

use std::process::Command;

use probe_tests::{Cgroup, Victim, Waiting, conditions, kernel, probe, probe_in, requirements};
use rustix::process::Signal;
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

/// A target of a wait, and the process to kill.
enum Target {
    Cgroup(Cgroup, Victim),
    Process(Victim),
}

impl Target {
    /// One of each kind.
    fn all() -> [Self; 3] {
        [Cgroup::v2("target"), Cgroup::v1("pids", "target")]
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

/// The verdict of a wait under this condition whose target is killed once it is armed.
fn done(target: Target, more: &[&str], condition: impl Fn(&[&str]) -> Command) -> Value {
    let [flag, name] = target.args();
    let args = [&[&flag, name.as_str()], more].concat();
    let waiting = Waiting::armed_in(&mut condition(&Waiting::args(&args)));
    target.end();
    waiting.finish().verdict("done")
}

#[test]
#[ignore = "needs root"]
fn the_lower_backends_work_without_the_system_calls_of_the_higher() {
    for (backend, forbidden) in FORBIDDEN {
        for target in Target::all() {
            let is_doubtful = target.is_v1() && kernel::tasks_leave_cgroup_late();
            let verdict = done(target, &["--backend", backend], |args| {
                deadly(forbidden, args)
            });
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
fn auto_takes_the_best_permitted_backend_and_the_verdicts_agree() {
    for target in [0, 1, 2] {
        let verdicts = [
            (
                requirements::best_backend(),
                conditions::unrestricted as fn(&[&str]) -> Command,
            ),
            ("pidfd", |args| conditions::denied(BPF, "EPERM", args)),
            ("poll", |args| conditions::denied(ALL, "ENOSYS", args)),
        ]
        .map(|(backend, condition)| {
            let target = Target::all().into_iter().nth(target).expect("three items");
            let is_v1 = target.is_v1();
            let verdict = done(target, &[], condition);
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

/// The system calls of a wait that times out with this backend, as strace prints them.
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
fn strace_shows_only_the_system_calls_of_the_requested_backend() {
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

/// How long a wait asks to sleep, in milliseconds, after BPF has joined; `u64::MAX` stands
/// for a sleep without a timeout.
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

    for target in Target::all() {
        let verdict = done(target, &[], denied);
        assert_eq!(verdict["backend"], "bpf", "{verdict}");
        let woken_by = verdict["woken_by"].as_str().expect("the wait was woken");
        assert!(["ring", "timer"].contains(&woken_by), "{verdict}");
    }
}

#[test]
#[ignore = "needs root"]
fn bpf_takes_over_from_the_backend_that_served_while_it_loaded() {
    requirements::require_bpf();
    let verdict = done(
        Target::all().into_iter().next().expect("three items"),
        &[],
        conditions::unrestricted,
    );
    assert_eq!(verdict["backends"], json!(["pidfd", "bpf"]), "{verdict}");
    // A backend that is requested by name is loaded before the first look.
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
