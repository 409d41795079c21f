//! What a member does until it ends. Each behaviour ends at the latest when the gate opens.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, PipeReader, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
    thread,
};

use anyhow::{Context, Result};
use fastrand::Rng;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{FdFlags, fcntl_setfd},
    process::{WaitOptions, wait},
};

use super::{
    EXECUTED,
    member::Ready,
    order::{Batch, Directory},
};
use crate::{plan::Behaviour, sys};

/// Limit of generations of a relay.
const GENERATIONS: u32 = 100;

/// A member that moves looks at the gate after so many moves.
const MOVES: u32 = 16;

/// Behaves until the member may exit by itself.
pub(crate) fn run(batch: &Batch, ready: Ready, mut gate: PipeReader) {
    match batch.behaviour {
        Behaviour::Still => {
            ready.report();
            until_open(&mut gate);
        }
        Behaviour::Leaderless => exit_leader(ready, gate),
        Behaviour::Forks => {
            ready.report();
            while !is_open(&gate) {
                if sys::fork() == 0 {
                    sys::exit(0);
                }
                let _reaped = wait(WaitOptions::empty());
            }
        }
        Behaviour::Relays => {
            ready.report();
            let _last = (0..GENERATIONS).find(|_| sys::fork() != 0);
        }
        Behaviour::Hops => hop(&mut Children::open(batch), ready, &gate),
        Behaviour::Passes => pass_on(&mut Children::open(batch), ready, &gate),
        Behaviour::Execs => {
            ready.report();
            execute_by_thread(gate.into());
        }
    }
}

pub(crate) fn until_open(gate: &mut PipeReader) {
    let _end_of_file: io::Result<usize> = gate.read(&mut [0]);
}

fn is_open(gate: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&gate, PollFlags::IN)];
    // The other end is closed when the gate opens, and never written.
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Exits the first thread. A second thread continues the process.
fn exit_leader(ready: Ready, mut gate: PipeReader) {
    thread::spawn(move || {
        while !fs::read_to_string("/proc/self/stat").is_ok_and(|it| it.contains(") Z ")) {
            thread::yield_now();
        }
        ready.report();
        until_open(&mut gate);
        sys::exit(0)
    });
    sys::exit_thread();
}

/// The child cgroups, open for a process that moves itself.
struct Children {
    /// For each child its `cgroup.procs` in every hierarchy.
    procs: Vec<Vec<File>>,
    rng: Rng,
}

impl Children {
    fn open(batch: &Batch) -> Self {
        let procs = batch.children.iter().map(|child| {
            let open = |directory: &Directory| {
                let file = directory.path().join("cgroup.procs");
                let opened = OpenOptions::new().write(true).open(&file);
                opened.unwrap_or_else(|error| panic!("open {}: {error}", file.display()))
            };
            child.iter().map(open).collect()
        });
        Self {
            procs: procs.collect(),
            rng: Rng::new(),
        }
    }

    /// Moves the process to a random child.
    fn enter(&mut self) {
        for mut file in &self.procs[self.rng.usize(..self.procs.len())] {
            // It fails if a wrong verdict has led to the removal of the child.
            let _moved = file.write(b"0");
        }
    }
}

fn hop(children: &mut Children, ready: Ready, gate: &PipeReader) {
    children.enter();
    ready.report();
    while !is_open(gate) {
        (0..MOVES).for_each(|_| children.enter());
    }
}

/// Each generation starts the next one, waits until it is in its cgroup, and exits.
fn pass_on(children: &mut Children, ready: Ready, gate: &PipeReader) {
    children.enter();
    ready.report();
    while !is_open(gate) {
        let Ok((mut arrived, arrives)) = io::pipe() else {
            return;
        };
        if sys::fork() != 0 {
            drop(arrives);
            until_open(&mut arrived);
            return;
        }
        children.rng = Rng::new();
        children.enter();
    }
}

/// Executes the program again by a second thread, while the first one exits.
fn execute_by_thread(gate: OwnedFd) {
    fcntl_setfd(&gate, FdFlags::empty()).expect("our descriptor");
    thread::spawn(move || {
        if is_open(&gate) {
            sys::exit(0);
        }
        // `/proc/self` shows the first thread, which may have exited.
        let mut program = Command::new("/proc/thread-self/exe");
        let error = program
            .arg(EXECUTED)
            .arg(gate.as_raw_fd().to_string())
            .exec();
        panic!("execute the program again: {error}")
    });
    sys::exit_thread();
}

/// A member that was executed with the descriptor of its gate as the argument.
pub(crate) fn executed(gate: Option<String>) -> Result<()> {
    let gate = gate.context("no gate")?.parse().context("the descriptor")?;
    execute_by_thread(sys::inherited(gate));
    Ok(())
}
