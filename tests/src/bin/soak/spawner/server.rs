//! The spawner itself: reads orders from stdin and answers them.

use std::{
    collections::HashSet,
    io::{self, BufRead, PipeWriter, Read, Write},
    os::fd::AsFd,
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait},
};
use serde_json::{Value, json};

use super::{
    member,
    order::{Batch, Order},
    sys,
};

/// The unreaped processes.
#[derive(Default)]
struct Spawner {
    /// Includes zombies, so none of these pids can be reused.
    unreaped: HashSet<u32>,
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
            Order::Leave => self.gates.clear(),
            Order::Reap => {
                self.reaps = true;
                self.reap();
            }
            Order::HasNoChildren => return Ok(json!(sys::has_no_children())),
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

    /// Reaps all zombies.
    fn reap(&mut self) {
        while let Ok(Some((pid, _status))) = wait(WaitOptions::NOHANG) {
            self.unreaped
                .remove(&pid.as_raw_nonzero().get().cast_unsigned());
        }
    }

    /// Kills and reaps all members. Their descendants must have ended before.
    fn reset(&mut self) {
        self.gates.clear();
        for pid in &self.unreaped {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            let _zombie = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
        while wait(WaitOptions::empty()).is_ok() {}
        *self = Self::default();
    }
}
