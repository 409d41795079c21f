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

use crate::{ground::Ground, nursery::Brood};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lie {
    /// Over when the last process begins to exit.
    Exit,
    /// Over when no process is listed.
    Procs,
    /// Over when `cgroup.events` says so, with no timer beside it.
    Poll,
}

/// What it needs.
pub(crate) struct Liar {
    lie: Lie,
    /// The programs run as long as this lives.
    exits: Option<Mutex<(Attached, Stream)>>,
}

impl Liar {
    pub(crate) fn prepare(lie: Lie) -> Result<Self> {
        let plan = || load::Plan {
            hooks: vec![Hook::Exit],
            filter: Filter::default().kernel_filter(DEFAULT_STREAM_BYTES),
            cgroups: Vec::new(),
            pids: Vec::new(),
            stream_bytes: DEFAULT_STREAM_BYTES,
        };
        let exits = if lie == Lie::Exit {
            let (attached, rings) = load::load(&plan()).context("load the exit program")?;
            Some(Mutex::new((attached, rings.stream)))
        } else {
            None
        };
        Ok(Self { lie, exits })
    }

    /// Whether it was told in time.
    pub(crate) fn wait(&self, ground: &Ground, brood: &Brood, patience: Duration) -> Result<bool> {
        match self.lie {
            Lie::Exit => Ok(self.last_exit(brood, patience)),
            Lie::Procs => Ok(until(patience, || ground.listed().is_empty())),
            Lie::Poll => told_by_events(ground, patience),
        }
    }

    fn last_exit(&self, brood: &Brood, patience: Duration) -> bool {
        let Some(exits) = &self.exits else {
            return false;
        };
        let mut exits = exits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left: HashSet<u32> = brood.pids.iter().copied().collect();
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

fn told_by_events(ground: &Ground, patience: Duration) -> Result<bool> {
    let path = ground.tops[0].join("cgroup.events");
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
