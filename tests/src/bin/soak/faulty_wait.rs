//! Ways of waiting that are known to be wrong: the soak's own test. A soak that
//! does not catch them would catch nothing.

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
use probe_user::{
    model::{Event, Filter},
    unstable::bpf::{
        hook::Hook,
        load::{self, Attached, DEFAULT_STREAM_BYTES},
        ring::Stream,
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{cgroups::Cgroups, spawner::Members};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultyWait {
    /// Over when the last process begins to exit.
    Exit,
    /// Over when no process is listed.
    Procs,
    /// Over when `cgroup.events` says so, with no timer beside it.
    Poll,
}

/// What it needs.
pub(crate) struct FaultyWaiter {
    kind: FaultyWait,
    /// The programs run as long as this lives.
    exits: Option<Mutex<(Attached, Stream)>>,
}

impl FaultyWaiter {
    pub(crate) fn prepare(kind: FaultyWait) -> Result<Self> {
        let plan = || load::Plan {
            hooks: vec![Hook::Exit],
            filter: Filter::default().kernel_filter(DEFAULT_STREAM_BYTES),
            cgroups: Vec::new(),
            pids: Vec::new(),
            stream_bytes: DEFAULT_STREAM_BYTES,
        };
        let exits = if kind == FaultyWait::Exit {
            let (attached, rings) = load::load(&plan()).context("load the exit program")?;
            Some(Mutex::new((attached, rings.stream)))
        } else {
            None
        };
        Ok(Self { kind, exits })
    }

    /// Whether it was told in time.
    pub(crate) fn wait(
        &self,
        cgroups: &Cgroups,
        members: &Members,
        patience: Duration,
    ) -> Result<bool> {
        match self.kind {
            FaultyWait::Exit => Ok(self.last_exit(members, patience)),
            FaultyWait::Procs => Ok(until(patience, || cgroups.listed().is_empty())),
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
    let path = cgroups.tops[0].join("cgroup.events");
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
        // The kernel looks once more when the time is up, and finds it removed:
        // without a timeout it would never have looked.
        if begun.elapsed() >= patience {
            return Ok(false);
        }
    }
}
