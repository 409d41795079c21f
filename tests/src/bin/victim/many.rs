//! Words for many children of one parent, because starting a parent for each child takes longer
//! than the child lives.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    thread::{self, available_parallelism},
};

use fastrand::Rng;
use serde_json::json;

use crate::{
    Words, change, number,
    relatives::Gate,
    report,
    sys::{
        process::{self, Stack},
        signal,
    },
    threads,
};

/// Number of children that live at once.
const AT_ONCE: usize = 16;
/// Signals that do not end a process. glibc handles 33 in a process with several threads, for
/// `setuid`.
const HARMLESS: [i32; 9] = [
    33,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        ["deaths", seed, count] => deaths(&mut Rng::with_seed(number(seed)), number(count)),
        ["births", seed, count] => births(&mut Rng::with_seed(number(seed)), number(count)),
        ["crowd", processes, tasks, mebibytes] => {
            crowd(number(processes), number(tasks), number(mebibytes));
        }
        ["bomb"] => bomb(),
        ["storm", count] => storm(number(count)),
        ["flood", how, count] => flood(how, number(count)),
        ["swarm", directory, runs, processes, tasks] => {
            for _ in 0..number(runs) {
                swarm(Path::new(directory), number(processes), number(tasks));
            }
        }
        _ => return,
    }
    process::exit(0);
}

/// Makes children that die at random, and reports the pid and status of each.
fn deaths(random: &mut Rng, count: usize) {
    // The number and the seed of each child, so that a wrong status can be repeated.
    let mut alive = HashMap::new();
    for number in 0..count {
        let seed = random.u64(..);
        let child = process::fork().unwrap_or_else(|| die(&mut Rng::with_seed(seed)));
        alive.insert(child, (number, seed));
        if random.u8(..) < 16 {
            // The child may be a zombie by then.
            wait_a_moment(random);
            signal::kill(child, fatal(random));
        }
        if alive.len() == AT_ONCE {
            reap(&mut alive);
        }
    }
    while !alive.is_empty() {
        reap(&mut alive);
    }
}

fn reap(alive: &mut HashMap<i32, (usize, u64)>) {
    let reaped = process::wait(-1);
    let (number, seed) = alive.remove(&reaped.pid).expect("a child of ours");
    report(&json!({
        "pid": reaped.pid, "status": reaped.status, "number": number, "seed": seed,
    }));
}

fn die(random: &mut Rng) -> ! {
    if random.bool() {
        threads::add_idle(random.u32(0..8));
    }
    let (kind, code, signal) = (random.u8(..), random.i32(0..256), fatal(random));
    let last = move || -> ! {
        match kind {
            0..100 => process::exit(code),
            100..180 => signal::kill(process::getpid(), signal),
            180..250 => signal::raise(signal),
            250.. => signal::abort(),
        }
        threads::idle();
    };
    match random.u8(0..4) {
        0 => threads::spawn(move || last()),
        1 => {
            threads::spawn(move || last());
            process::exit_thread(code ^ 0xff);
        }
        _ => last(),
    }
    threads::idle();
}

fn fatal(random: &mut Rng) -> i32 {
    loop {
        let signal = random.i32(1..=signal::LAST);
        if !HARMLESS.contains(&signal) {
            return signal;
        }
    }
}

/// Spins for up to a third of a millisecond, about the time in which a process starts.
fn wait_a_moment(random: &mut Rng) {
    for _ in 0..random.u32(0..100_000) {
        std::hint::spin_loop();
    }
}

/// Makes children that are killed while they start: between the fork and the beginning of
/// another program.
fn births(random: &mut Rng, count: usize) {
    for _ in 0..count {
        let child = crate::relatives::child(&["exec", "exit", "1"]);
        wait_a_moment(random);
        if random.u8(..) < 64 {
            for _ in 0..random.u8(0..10) {
                wait_a_moment(random);
            }
        }
        signal::kill(child, libc::SIGKILL);
        let reaped = process::wait(child);
        report(&json!({"pid": reaped.pid, "status": reaped.status}));
    }
}

/// Makes processes with several tasks in a cgroup, kills them at once, by `cgroup.kill` where it
/// exists (Linux 5.14), and reports all of them in one line.
fn swarm(cgroup: &Path, processes: u32, tasks: u32) {
    let mut gate = Gate::new();
    let mut all = Vec::new();
    for _ in 0..processes {
        let Some(child) = process::fork() else {
            fs::write(cgroup.join("cgroup.procs"), "0").expect("a v2 cgroup");
            threads::add_idle(tasks - 1);
            gate.open();
            threads::idle();
        };
        all.push(child);
    }
    for _ in 0..processes {
        gate.pass();
    }
    let kill = cgroup.join("cgroup.kill");
    if kill.exists() {
        fs::write(kill, "1").expect("our own directory");
    } else {
        for pid in all {
            signal::kill(pid, libc::SIGKILL);
        }
    }
    let reaped = (0..processes).map(|_| process::wait(-1));
    let reaped: Vec<_> = reaped.map(|it| json!([it.pid, it.status])).collect();
    report(&json!(reaped));
}

/// Makes sleeping processes with several tasks and touched memory each; this one is the first.
/// Reports its pid when all are ready.
fn crowd(processes: u32, tasks: u32, mebibytes: usize) -> ! {
    let mut gate = Gate::new();
    let is_first = (1..processes).all(|_| process::fork().is_some());
    change::eat(mebibytes);
    threads::add_idle(tasks - 1);
    if is_first {
        (1..processes).for_each(|_| gate.pass());
        report(&json!({"pid": process::getpid()}));
    } else {
        gate.open();
    }
    threads::idle();
}

/// Forks forever, as its children do. Ignoring SIGCHLD keeps them from becoming zombies.
fn bomb() -> ! {
    signal::ignore(libc::SIGCHLD);
    loop {
        if !process::try_fork() {
            thread::yield_now();
        }
    }
}

/// Makes processes that exit at once, as fast as all CPUs can, and reports their number.
fn storm(count: u64) {
    let workers = available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let worker = |share: u64| {
        let mut stack = Stack::new();
        for _ in 0..share {
            let child = process::vfork_and_exit(&mut stack, 0);
            assert_eq!(process::wait(child).status, 0);
        }
    };
    thread::scope(|scope| {
        for index in 0..workers {
            let share = count / workers + u64::from(index < count % workers);
            scope.spawn(move || worker(share));
        }
    });
    // A joined thread may still run its exit tracepoint. If the process ended meanwhile, both
    // tasks would look like the last one before Linux 6.16, and the harness counts the records.
    while fs::read_dir("/proc/self/task")
        .expect("/proc is mounted")
        .count()
        > 1
    {
        thread::yield_now();
    }
    report(&json!({"made": count}));
}

/// Makes processes one after the other. Each process catches or blocks thirty real-time
/// signals and sends them to itself.
fn flood(how: &str, processes: u32) {
    for _ in 0..processes {
        let child = process::fork().unwrap_or_else(|| {
            for signal in libc::SIGRTMIN()..libc::SIGRTMIN() + 30 {
                match how {
                    "caught" => signal::catch(signal),
                    "blocked" => signal::block(signal),
                    _ => panic!("no such flood: {how}"),
                }
                signal::kill(process::getpid(), signal);
            }
            process::exit(0);
        });
        assert_eq!(process::wait(child).status, 0);
    }
}
