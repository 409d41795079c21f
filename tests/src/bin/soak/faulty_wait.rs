//! Ways of waiting that are known to be wrong. They test the soak, which must detect them.

use std::{
    collections::HashSet,
    fs::File,
    io::Read,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use probe_tests::bpf;
use probe_user::{
    model::Event,
    unstable::bpf::{
        hook::Hook,
        load::{self, Attached},
        ring::Stream,
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    cgroups::Cgroups,
    plan::{Hierarchy, Plan, Shape},
    spawner::Members,
};

/// A faulty way to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultyWait {
    /// Ends at the exit record of the last process, when it is still in its cgroup.
    Exit,
    /// Ends when `cgroup.procs` is empty.
    Procs,
    /// Ends when a walk through the child cgroups has found no process, while one moves among them.
    Walk,
    /// Ends at `populated 0` after a notification of `cgroup.events`, without a timer.
    Poll,
}

/// A faulty way to wait, and the BPF programs that it needs.
pub(crate) struct FaultyWaiter {
    kind: FaultyWait,
    /// The programs are attached as long as this lives.
    exits: Option<Mutex<(Attached, Stream)>>,
}

impl FaultyWaiter {
    pub(crate) fn prepare(kind: FaultyWait) -> Result<Self> {
        let exits = if kind == FaultyWait::Exit {
            let plan = bpf::plan(&[Hook::Exit]);
            let (attached, rings) = load::load(&plan).context("load the exit program")?;
            Some(Mutex::new((attached, rings.stream)))
        } else {
            None
        };
        Ok(Self { kind, exits })
    }

    /// The shape of a trial that would have this one.
    pub(crate) const fn shape(&self, drawn: Shape) -> Shape {
        match (self.kind, drawn) {
            (FaultyWait::Walk, _) => Shape::Hoppers,
            (
                _,
                Shape::Plain
                | Shape::Frozen
                | Shape::Repopulated
                | Shape::Removed
                | Shape::Migration
                | Shape::Grown
                | Shape::Shared,
            ) => drawn,
            _ => Shape::Plain,
        }
    }

    /// Makes it likely that a walk misses a process: it is alone and moves for a while. Without v1
    /// it moves in v2.
    pub(crate) fn adjust(&self, plan: &mut Plan) {
        if self.kind == FaultyWait::Walk {
            plan.hierarchy = Hierarchy::V1;
            plan.processes = 1;
            plan.children = 4;
            plan.delay = Duration::from_millis(80);
        }
    }

    /// Waits; returns false at the timeout.
    pub(crate) fn wait(
        &self,
        cgroups: &Cgroups,
        members: &Members,
        patience: Duration,
    ) -> Result<bool> {
        match self.kind {
            FaultyWait::Exit => Ok(self.last_exit(members, patience)),
            FaultyWait::Procs | FaultyWait::Walk => {
                Ok(until(patience, || cgroups.listed().is_empty()))
            }
            FaultyWait::Poll => wait_by_events(cgroups, patience),
        }
    }

    fn last_exit(&self, members: &Members, patience: Duration) -> bool {
        let Some(exits) = &self.exits else {
            return false;
        };
        let mut exits = exits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left: HashSet<u32> = members.pids.iter().copied().collect();
        until(patience, || {
            let drained = exits.1.drain(|timed| {
                if let Event::Exit(exit) = timed.event
                    && exit.group_dead
                {
                    left.remove(&exit.process.tgid);
                }
                Ok::<_, ()>(())
            });
            drained.is_ok() && left.is_empty()
        })
    }
}

fn until(patience: Duration, mut is_over: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if is_over() {
            return true;
        }
        thread::yield_now();
    }
    false
}

fn wait_by_events(cgroups: &Cgroups, patience: Duration) -> Result<bool> {
    let path = cgroups.tops[0].file("cgroup.events");
    let Ok(mut events) = File::open(&path) else {
        return Ok(true);
    };
    let begun = Instant::now();
    loop {
        let mut text = String::new();
        let read = rustix::fs::seek(&events, rustix::fs::SeekFrom::Start(0))
            .map_err(std::io::Error::from)
            .and_then(|_| events.read_to_string(&mut text));
        if read.is_err() || text.contains("populated 0") {
            return Ok(true);
        }
        let timeout = Timespec::try_from(patience).context("seconds")?;
        let mut fds = [PollFd::new(&events, PollFlags::PRI)];
        poll(&mut fds, Some(&timeout)).context("poll")?;
        // At the timeout the poll checks the file again, so it would see a removed cgroup.
        // Without the timeout it would wait forever.
        if begun.elapsed() >= patience {
            return Ok(false);
        }
    }
}
