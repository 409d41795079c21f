//! Makes and reaps the processes of the trials of the soak. It serves one trial after the
//! other, because starting a program for each trial would take longer than the trial.
//!
//! It reads orders from stdin, one JSON object per line, and answers each with one.
//! `soak_spawner hog` uses a CPU until it is killed.

mod member;
mod sys;

use std::{
    collections::HashSet,
    io::{self, BufRead, PipeWriter, Read, Write},
    os::fd::AsFd,
    process::ExitCode,
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait},
};
use serde_json::{Value, json};

use member::Members;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("hog") {
        loop {
            std::hint::spin_loop();
        }
    }
    // A panic in a forked child must not unwind into `serve`.
    std::panic::set_hook(Box::new(|panic| {
        let _written = writeln!(io::stderr(), "soak_spawner: {panic}");
        sys::exit(101)
    }));
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _written = writeln!(io::stderr(), "soak_spawner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The unreaped processes.
#[derive(Default)]
struct Spawner {
    /// Includes zombies, so none of these pids can be reused.
    unreaped: HashSet<u32>,
    reaps: bool,
    /// Members exit when these are dropped.
    gates: Vec<PipeWriter>,
}

fn serve() -> anyhow::Result<()> {
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
            let answer = spawner
                .execute(&line)
                .unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
            writeln!(io::stdout(), "{answer}").context("write the answer")?;
        }
    }
}

impl Spawner {
    fn execute(&mut self, line: &str) -> anyhow::Result<Value> {
        let order: Value = serde_json::from_str(line).context("parse an order")?;
        match order["do"].as_str() {
            Some("spawn") => return self.spawn(&order).map(|pids| json!({ "pids": pids })),
            Some("leave") => self.gates.clear(),
            Some("reap") => {
                self.reaps = true;
                self.reap();
            }
            Some("has_no_children") => {
                return Ok(json!({ "has_no_children": sys::has_no_children() }));
            }
            Some("reset") => self.reset(),
            _ => bail!("no such order: {line}"),
        }
        Ok(json!({}))
    }

    fn spawn(&mut self, order: &Value) -> anyhow::Result<Vec<u32>> {
        let (mut ready, tell) = io::pipe()?;
        let (gate, keeper) = io::pipe()?;
        let members = Members::read(order)?;
        for (index, place) in members.places.iter().enumerate() {
            if sys::fork() == 0 {
                drop((ready, keeper));
                member::lead(&members, index, place, (tell, gate));
            }
        }
        drop(tell);
        let mut pids = Vec::new();
        for _ in 0..members.processes {
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
