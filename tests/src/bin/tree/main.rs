//! A random tree of processes that outlives its root: `tree SEED end exit 3`.
//!
//! The seed decides how the processes are made (double forks, sessions, process groups, pid
//! namespaces, threads) and what they do (sleep, stop, ignore signals, fork on, trace, leave
//! zombies, move to other cgroups). The root ends by an exit code or a signal while its descendants
//! are still at it. Every process has the command line of the root, by which a test finds it.

mod sys;

use std::{fs, path::Path, thread, time::Duration};

use fastrand::Rng;
use rustix::process::{Pid, Signal, getpid, getuid, kill_process, setpgid, setsid};

/// Deepest generation below the root.
const DEPTH: u32 = 4;

/// Most generations of a chain of forks, and most processes of a bomb.
const BOMB: u32 = 60;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [seed, how, number] = words.as_slice() else {
        panic!("usage: tree SEED exit|signal NUMBER");
    };
    let mut rng = Rng::with_seed(seed.parse().expect("a number"));
    let number = number.parse().expect("a number");
    grow(&mut rng, 0);
    // The descendants get some time, but not always enough to finish their work.
    thread::park_timeout(Duration::from_micros(rng.u64(0..3000)));
    match how.as_str() {
        "exit" => sys::exit(number),
        _ => sys::die_by(number),
    }
}

/// Makes the children of a process.
fn grow(rng: &mut Rng, depth: u32) {
    let children = if depth < DEPTH { rng.u32(0..4) } else { 0 };
    for _ in 0..children {
        let seed = rng.u64(..);
        let how = rng.u32(0..7);
        if how == 6 && getuid().is_root() {
            sys::unshare_pids();
        }
        if sys::fork() {
            continue;
        }
        let mut rng = Rng::with_seed(seed);
        match how {
            0 => drop(setsid()),
            1 => drop(setpgid(None, None)),
            2 => daemonize(),
            3 => sys::become_subreaper(),
            _ => {}
        }
        live(&mut rng, depth + 1);
    }
}

/// A double fork with a session between.
fn daemonize() {
    if sys::fork() {
        sys::exit(0);
    }
    become_leader();
    if sys::fork() {
        sys::exit(0);
    }
}

/// Starts a session. It fails in a leader of a process group.
fn become_leader() {
    _ = setsid();
}

/// What a descendant does until it is killed.
fn live(rng: &mut Rng, depth: u32) -> ! {
    if rng.bool() {
        sys::ignore_signals();
    }
    let seed = rng.u64(..);
    let before = rng.bool();
    if before {
        grow(&mut Rng::with_seed(seed), depth);
    }
    match rng.u32(0..12) {
        0 => sys::exit(rng.i32(0..3)),
        1 => {
            thread::park_timeout(Duration::from_micros(rng.u64(0..5000)));
            sys::exit(0)
        }
        2 => drop(kill_process(getpid(), Signal::STOP)),
        3 => leave_zombie(),
        4 => traced(),
        5 => chain(rng.u32(1..BOMB)),
        6 => bomb(rng.u32(1..6)),
        7 => leader_exits(),
        8 if getuid().is_root() => to_another_cgroup(rng.bool()),
        9 if getuid().is_root() => sys::become_nobody(),
        10 => sys::sleep_in_vfork(),
        _ => {}
    }
    if !before {
        grow(&mut Rng::with_seed(seed), depth);
    }
    sys::sleep()
}

fn leave_zombie() {
    if !sys::fork() {
        sys::exit(0);
    }
}

/// Makes a child that stops, and traces it.
fn traced() {
    match sys::fork_pid() {
        0 => sys::sleep(),
        child @ 1.. => {
            sys::seize(child);
            let _stopped = Pid::from_raw(child).map(|it| kill_process(it, Signal::STOP));
        }
        _ => {}
    }
}

/// A chain in which each process forks the next one and exits.
fn chain(length: u32) {
    for _ in 0..length {
        if sys::try_fork() {
            sys::exit(0);
        }
    }
}

/// Doubles the processes a few times.
fn bomb(doublings: u32) {
    for _ in 0..doublings {
        let _both_go_on = sys::try_fork();
    }
}

/// The leader of the process exits, and another thread lives on.
fn leader_exits() {
    thread::spawn(|| sys::sleep());
    sys::exit_thread();
}

/// Moves to a new cgroup below the present one, or to the root of the v2 hierarchy.
fn to_another_cgroup(to_root: bool) {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|it| it.strip_prefix("0::"));
    let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let root = root.map(Path::new).into_iter();
    let mut root = root.filter(|it| it.join("cgroup.controllers").exists());
    // A process that has left the cgroup of the run makes no other cgroup.
    let (Some(own), Some(root)) = (own.filter(|it| it.contains("probe-run")), root.next()) else {
        return;
    };
    let to = if to_root {
        root.to_owned()
    } else {
        let below = root
            .join(&own[1..])
            .join(getpid().as_raw_nonzero().to_string());
        // It fails if the run is over by now.
        let _made = fs::create_dir(&below);
        below
    };
    let _moved = fs::write(to.join("cgroup.procs"), "0");
}
