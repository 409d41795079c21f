//! The spawner itself: reads orders from stdin and answers them.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufRead, PipeWriter, Read, Write},
    os::fd::AsFd,
    path::Path,
    thread,
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait, waitpid},
};
use serde_json::{Value, json};

use super::{
    member,
    order::{Batch, Child, Order, Visitor},
};
use crate::{plan::Entry, sys};

/// The unreaped processes.
#[derive(Default)]
struct Spawner {
    /// Includes zombies, so none of these pids can be reused.
    unreaped: HashSet<u32>,
    /// Processes that were never in the target.
    strangers: HashSet<u32>,
    reaps: bool,
    /// Members exit when these are dropped.
    gates: Vec<PipeWriter>,
}

/// Serves until the end of stdin.
pub(crate) fn run() -> Result<()> {
    // A panic in a forked child must not unwind into this function.
    std::panic::set_hook(Box::new(|panic| {
        let _written = writeln!(io::stderr(), "spawner: {panic}");
        sys::exit(101)
    }));
    set_child_subreaper(Pid::from_raw(1)).context("become a subreaper")?;
    let deaths = sys::child_signals().context("open a signalfd")?;
    let stdin = io::stdin();
    let mut spawner = Spawner::default();
    let mut line = String::new();
    loop {
        let stdin_ready = {
            let mut fds = [
                PollFd::new(&stdin, PollFlags::IN),
                PollFd::from_borrowed_fd(deaths.as_fd(), PollFlags::IN),
            ];
            poll(&mut fds, None).context("poll")?;
            !fds[0].revents().is_empty()
        };
        sys::drain(&deaths);
        if spawner.reaps {
            spawner.reap();
        }
        // The soak sends an order only after the answer to the last one, so the buffer is empty
        // during the poll.
        if stdin_ready {
            line.clear();
            if stdin.lock().read_line(&mut line).context("read an order")? == 0 {
                spawner.reset();
                return Ok(());
            }
            let answer = spawner.execute(&line).map_err(|error| format!("{error:#}"));
            let answer = serde_json::to_string(&answer)?;
            writeln!(io::stdout(), "{answer}").context("write the answer")?;
        }
    }
}

impl Spawner {
    fn execute(&mut self, line: &str) -> Result<Value> {
        match serde_json::from_str(line).context("parse an order")? {
            Order::Spawn(batch) => return self.spawn(&batch).map(|pids| json!(pids)),
            Order::Visit(visitor) => return self.visit(&visitor).map(|pid| json!(pid)),
            Order::Leave => self.gates.clear(),
            Order::Reap => {
                self.reaps = true;
                self.reap();
            }
            Order::KillOne(pid) => self.kill_one(pid)?,
            Order::Kill => self.kill()?,
            Order::Children => return Ok(json!(self.children()?)),
            Order::Reset => self.reset(),
        }
        Ok(Value::Null)
    }

    fn spawn(&mut self, batch: &Batch) -> Result<Vec<u32>> {
        let (mut ready, tell) = io::pipe()?;
        let (gate, keeper) = io::pipe()?;
        for (index, place) in batch.places.iter().enumerate() {
            if sys::fork() == 0 {
                drop((ready, keeper));
                member::lead(batch, index, place, (tell, gate));
            }
        }
        drop(tell);
        let mut pids = Vec::new();
        for _ in 0..batch.processes {
            let mut pid = [0; 4];
            ready.read_exact(&mut pid).context("make a member")?;
            pids.push(u32::from_ne_bytes(pid));
        }
        self.unreaped.extend(&pids);
        self.gates.push(keeper);
        Ok(pids)
    }

    fn visit(&mut self, visitor: &Visitor) -> Result<u32> {
        let (mut ready, tell) = io::pipe()?;
        let (gate, keeper) = io::pipe()?;
        let is_cloned = visitor.entry == Entry::Cloned && !visitor.is_stranger;
        let target = visitor.target.first().filter(|_| is_cloned);
        let target = target
            .map(super::order::Directory::path)
            .filter(|it| is_v2(it));
        let cgroup = target.map(File::open).transpose()?;
        let cgroup = cgroup.as_ref().map(AsFd::as_fd);
        let pid = sys::fork_into(cgroup, visitor.pid).context("clone a process")?;
        if pid == 0 {
            drop((ready, keeper));
            member::visit(visitor, (tell, gate));
        }
        drop(tell);
        ready.read_exact(&mut [0; 4]).context("make a visitor")?;
        let pid = pid.cast_unsigned();
        if visitor.is_stranger {
            self.strangers.insert(pid);
        }
        self.unreaped.insert(pid);
        self.gates.push(keeper);
        Ok(pid)
    }

    fn kill_one(&mut self, pid: u32) -> Result<()> {
        kill(pid);
        let pid_of_child = i32::try_from(pid).ok().and_then(Pid::from_raw);
        waitpid(pid_of_child, WaitOptions::empty()).context("reap one member")?;
        self.unreaped.remove(&pid);
        Ok(())
    }

    /// Kills until no child lives: a child may have forked before its signal came.
    fn kill(&self) -> Result<()> {
        loop {
            let children = self.children()?;
            let mut living = children.iter().filter(|it| !it.has_exited).peekable();
            if living.peek().is_none() {
                return Ok(());
            }
            living.for_each(|child| kill(child.pid));
            thread::yield_now();
        }
    }

    /// The children that are not reaped, without strangers. An orphan becomes a child, too,
    /// because this is a subreaper.
    fn children(&self) -> Result<Vec<Child>> {
        let mut listed = self.list_children()?;
        loop {
            let states = listed.iter().filter(|pid| !self.strangers.contains(pid));
            let states = states.filter_map(|&pid| {
                let has_exited = sys::has_exited(pid)?;
                Some(Child { pid, has_exited })
            });
            let states = states.collect();
            // Before a process is seen to have exited, its children are added to the list.
            let again = self.list_children()?;
            if again == listed {
                return Ok(states);
            }
            listed = again;
        }
    }

    /// Without the kernel's list (`CONFIG_PROC_CHILDREN`) only those that were reported.
    fn list_children(&self) -> Result<Vec<u32>> {
        match fs::read_to_string("/proc/thread-self/children") {
            Ok(list) => {
                let pids = list.split_whitespace().map(str::parse);
                pids.collect::<Result<_, _>>().context("parse the children")
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(self.unreaped.iter().copied().collect())
            }
            Err(error) => Err(error).context("list the children"),
        }
    }

    /// Reaps all zombies.
    fn reap(&mut self) {
        while let Ok(Some((pid, _status))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().cast_unsigned();
            self.unreaped.remove(&pid);
            self.strangers.remove(&pid);
        }
    }

    /// Kills and reaps all members. Their descendants must have ended before.
    fn reset(&mut self) {
        self.gates.clear();
        self.unreaped.iter().for_each(|&pid| kill(pid));
        while wait(WaitOptions::empty()).is_ok() {}
        *self = Self::default();
    }
}

fn is_v2(directory: &Path) -> bool {
    directory.join("cgroup.events").exists()
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _zombie = pid.map(|pid| kill_process(pid, Signal::KILL));
}
