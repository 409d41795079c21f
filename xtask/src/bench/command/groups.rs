//! The groups of commands that are compared, and their limits.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use super::runner::Sample;
use crate::{
    bench::{
        contender::{Contender, Sign},
        wait::{Programs, Server},
    },
    command, setup,
};

/// The period of the loops that the commands are compared with.
pub(super) const PERIOD: Duration = Duration::from_millis(10);

/// The events of a round, and the start of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// The command is armed, then its cgroup is killed.
    Killed,
    /// The command is armed, then its cgroup is frozen, killed 3 ms later, and thawed.
    Frozen,
    /// The cgroup is killed 3 ms after it was populated, or later if the command takes longer
    /// to arm.
    Repopulated,
    /// The command is armed, then its process is killed with kill(2).
    ProcessKilled,
    /// The command starts while the processes rest, and returns by itself.
    Cold,
    /// The command starts while the processes rest, and they are killed when it is armed.
    Armed,
}

/// Commands of which each runs once in a round.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) course: Course,
    /// Processes in the cgroup.
    pub(super) processes: usize,
    pub(super) entrants: Vec<Entrant>,
    pub(super) limits: Vec<Limit>,
}

/// A command, and the index of the entrant that is the same command, for the A/A control.
#[derive(Debug)]
pub(super) struct Entrant {
    pub(super) contender: Contender,
    pub(super) twin: Option<usize>,
}

/// A percentile of a time of an entrant, and the most that it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) subject: usize,
    pub(super) what: &'static str,
    pub(super) of: fn(&Sample) -> Option<Duration>,
    pub(super) percent: usize,
    pub(super) against: Against,
    pub(super) most: Option<f64>,
}

/// What a time is compared with, in the same round: the index is that of an entrant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Against {
    Nothing,
    Difference(usize),
    Ratio(usize),
}

pub(super) const WITH_DAEMON: &str = "wait --backend daemon";

type Make = fn(&'static str, &Programs) -> Result<Group>;

/// The groups that need no daemon. None may run meanwhile, because the last detachment of a
/// BPF program from its tracepoint is a part of what a command costs.
pub(super) const WITHOUT_DAEMON: [(&str, Make); 9] = [
    ("true", |name, _| Ok(bare(name))),
    ("wait --cgroup", |name, programs| {
        Ok(wait_for_cgroup(name, programs))
    }),
    ("wait PID", wait_for_process),
    ("kill of 1 process, cold", |name, programs| {
        Ok(kill(name, 1, programs))
    }),
    ("kill of 50 processes, cold", |name, programs| {
        Ok(kill(name, 50, programs))
    }),
    ("frozen, killed, thawed", |name, programs| {
        Ok(delayed(name, Course::Frozen, programs))
    }),
    ("repopulated just before", |name, programs| {
        Ok(delayed(name, Course::Repopulated, programs))
    }),
    ("from exec to armed", |name, programs| {
        Ok(armed(name, programs))
    }),
    ("run", run_and_clean),
];

/// A process that does nothing: the part of every time that belongs to the harness.
fn bare(name: &'static str) -> Group {
    let mut group = Group::new(name, Course::Cold, 1);
    let bare = group.enter(Contender::new("true", ["/bin/true"], Sign::Stdout));
    group.limit(bare, RETURN, 50, Against::Nothing, None);
    group
}

/// `probe wait --cgroup` beside poll(2) and the loop of a shell.
fn wait_for_cgroup(name: &'static str, programs: &Programs) -> Group {
    let waits = ["auto", "pidfd"].map(|backend| {
        let words = ["wait", "--backend", backend, "--cgroup", "{cgroup}"];
        probe(backend, programs, &words)
    });
    beside_poll_and_loop(name, waits, programs)
}

/// `probe wait` through a daemon that runs already.
pub(super) fn with_daemon(programs: &Programs, server: &Server) -> Group {
    let socket = server.socket().display().to_string();
    let words = ["wait", "--backend", "daemon", "--socket", &socket];
    let words = [&words[..], &["--cgroup", "{cgroup}"]].concat();
    let wait = probe("daemon", programs, &words);
    beside_poll_and_loop(WITH_DAEMON, [wait], programs)
}

fn beside_poll_and_loop<const N: usize>(
    name: &'static str,
    waits: [Contender; N],
    programs: &Programs,
) -> Group {
    const LOOP: &str = "echo armed; until rmdir {cgroup} 2>/dev/null; do sleep 0.01; done";
    let mut group = Group::new(name, Course::Killed, 1);
    let waits = waits.map(|wait| group.enter(wait));
    let poll = group.enter_twice(poll(programs));
    let looping = group.enter_twice(shell("loop of rmdir", LOOP));
    for wait in waits {
        group.limit(wait, RETURN, 50, Against::Difference(poll), Some(1.0));
        group.limit(wait, RETURN, 95, Against::Difference(poll), Some(3.0));
        group.limit(wait, RETURN, 50, Against::Ratio(looping), Some(0.333));
        group.limit(wait, VERDICT, 50, Against::Difference(poll), None);
    }
    group
}

/// `probe wait PID` beside `waitpid` of util-linux and `pidwait` of procps.
fn wait_for_process(name: &'static str, programs: &Programs) -> Result<Group> {
    let mut group = Group::new(name, Course::ProcessKilled, 1);
    let wait = group.enter(probe("auto", programs, &["wait", "{pid}"]));
    let mut waitpid = setup::waitpid()?;
    waitpid.push("{pid}".to_owned());
    let waitpid = Contender::new("waitpid", waitpid, Sign::Epoll);
    let pidwait = command::find("pidwait").context("no pidwait of procps 4")?;
    // A pidwait without a pattern waits for all children of a process. Its file of pids must
    // be locked.
    let parent = "exec {pidwait} --parent $(cut -d ' ' -f 4 /proc/{pid}/stat)";
    let parent = parent.replace("{pidwait}", &pidwait.display().to_string());
    let pidwait = Contender::new("pidwait", ["sh", "-c", &parent], Sign::Epoll);
    for peer in [waitpid, pidwait] {
        let peer = group.enter_twice(peer);
        group.limit(wait, RETURN, 50, Against::Difference(peer), Some(1.0));
    }
    Ok(group)
}

/// `probe kill` beside a shell that kills the cgroup and becomes the C program that polls.
fn kill(name: &'static str, processes: usize, programs: &Programs) -> Group {
    let mut group = Group::new(name, Course::Cold, processes);
    let words = ["kill", "--cgroup", "{cgroup}"].map(str::to_owned);
    let words = [programs.probe().display().to_string()]
        .into_iter()
        .chain(words);
    let kill = group.enter(Contender::new("probe kill", words, Sign::Stderr));
    let script = "echo 1 > {cgroup}/cgroup.kill; exec {poll} events 10000 {cgroup}";
    let script = script.replace("{poll}", &programs.poll().display().to_string());
    let peer = group.enter_twice(shell("shell and poll", &script));
    group.limit(kill, RETURN, 50, Against::Difference(peer), Some(2.5));
    group
}

/// The kernel delays its notification of `cgroup.events`, so that poll(2) is late.
fn delayed(name: &'static str, course: Course, programs: &Programs) -> Group {
    let mut group = Group::new(name, course, 1);
    let words = ["wait", "--backend", "pidfd", "--cgroup", "{cgroup}"];
    let wait = group.enter(probe("pidfd", programs, &words));
    let poll = group.enter_twice(poll(programs));
    group.limit(wait, VERDICT, 50, Against::Nothing, Some(2.0));
    group.limit(wait, RETURN, 50, Against::Difference(poll), None);
    group
}

/// The time from the start of a wait until no exit can be missed.
fn armed(name: &'static str, programs: &Programs) -> Group {
    let mut group = Group::new(name, Course::Armed, 1);
    for (backend, most) in [("pidfd", 2.0), ("bpf", 20.0)] {
        let words = ["wait", "--backend", backend, "--cgroup", "{cgroup}"];
        let wait = group.enter(probe(backend, programs, &words));
        group.limit(wait, ARMED, 50, Against::Nothing, Some(most));
    }
    group
}

/// `probe run` beside a shell that makes a cgroup, runs a shell in it and removes it.
fn run_and_clean(name: &'static str, programs: &Programs) -> Result<Group> {
    const SCRIPT: &str = "mkdir {cgroup}/run\n\
        sh -c 'echo $$ > {cgroup}/run/cgroup.procs; true'\n\
        until rmdir {cgroup}/run 2>/dev/null; do sleep 0.01; done";
    let mut help = Command::new(programs.probe());
    let has_run = command::quiet(help.args(["run", "--help"])).is_ok();
    ensure!(has_run, "{} has no verb `run`", programs.probe().display());
    let mut group = Group::new(name, Course::Cold, 1);
    let probe = programs.probe().display().to_string();
    let run = Contender::new("probe run true", [&probe, "run", "true"], Sign::Stderr);
    let run = group.enter(run);
    let peer = group.enter_twice(shell("shell with a cgroup", SCRIPT));
    group.limit(run, RETURN, 50, Against::Difference(peer), Some(3.0));
    Ok(group)
}

fn probe(name: &'static str, programs: &Programs, words: &[&str]) -> Contender {
    let probe = programs.probe().display().to_string();
    let words = [&[&*probe, "-v"], words].concat();
    Contender::new(name, words, Sign::Stderr).verdict(" after ")
}

/// poll(2) with a limit that nothing here reaches.
fn poll(programs: &Programs) -> Contender {
    let poll = programs.poll().display().to_string();
    Contender::new(
        "poll(2)",
        [&poll, "events", "10000", "{cgroup}"],
        Sign::Stdout,
    )
    .verdict(" events")
}

fn shell(name: &'static str, script: &str) -> Contender {
    Contender::new(name, ["sh", "-c", script], Sign::Stdout)
}

/// A time of a command, with its name.
type Time = (&'static str, fn(&Sample) -> Option<Duration>);

const ARMED: Time = ("armed", |sample| sample.armed);
const VERDICT: Time = ("verdict", |sample| sample.end.verdict);
const RETURN: Time = ("return", |sample| Some(sample.end.returned));

impl Group {
    const fn new(name: &'static str, course: Course, processes: usize) -> Self {
        Self {
            name,
            course,
            processes,
            entrants: Vec::new(),
            limits: Vec::new(),
        }
    }

    fn enter(&mut self, contender: Contender) -> usize {
        let twin = None;
        self.entrants.push(Entrant { contender, twin });
        self.entrants.len() - 1
    }

    /// Enters a command a second time: the difference of the two is the noise.
    fn enter_twice(&mut self, contender: Contender) -> usize {
        let twin = Some(self.enter(contender.clone()));
        self.entrants.push(Entrant { contender, twin });
        self.entrants.len() - 2
    }

    fn limit(
        &mut self,
        subject: usize,
        (what, of): Time,
        percent: usize,
        against: Against,
        most: Option<f64>,
    ) {
        self.limits.push(Limit {
            subject,
            what,
            of,
            percent,
            against,
            most,
        });
    }
}
