//! What `probe wait` and `probe kill` have in common: waits are armed, records
//! are told, and levels decide.
//!
//! A daemon that answers watches as well; it is no more than one more bell.
//! Exit records wake nobody: a reader that wakes for them takes the CPU from
//! the task that is dying. BPF joins while the wait runs, because loading it
//! takes tens of milliseconds.

mod asking;
mod ended;
mod exits;
mod joining;
mod news;
mod seat;
mod status;
mod telling;
mod words;

use std::{io, path::Path};

use indicatif::ProgressBar;
use tokio::time::Instant;

pub use self::{
    asking::{Asking, say_without},
    ended::Ended,
    joining::Broken,
    telling::Telling,
};
use probe_user::{
    model::{self, Until},
    unstable::{
        bpf::load::Plan,
        cgroup::mounts::{self, Mount},
        proc::pinned::PinnedProcess,
        trace::places::Places,
        wait::{Hub, Target, Wait, WaitSet},
    },
};

use self::{exits::Exits, seat::Seat};
use crate::output::{Backend, reporter::Teller};

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The state of a target could not be read.
    #[error("cannot read the state of a target")]
    Look(#[source] io::Error),
    /// stdout took no more.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

/// See the module.
pub struct Session {
    hub: Hub,
    set: WaitSet,
    exits: Exits,
    seat: Seat,
    has_looked: bool,
    teller: Teller,
    is_loading: bool,
    load_at: Option<(Instant, Plan)>,
    backends: Vec<Backend>,
    status_of: Option<(PinnedProcess, Wait)>,
    progress: Option<ProgressBar>,
    to_break: Option<Broken>,
    is_deaf: bool,
    /// What was said of it last: with BPF, or without.
    said_armed: Option<bool>,
}

impl Session {
    /// Nothing is armed yet. `tier` is the best backend that may be used.
    #[must_use]
    pub fn new(tier: model::Backend, telling: Telling) -> Self {
        let Telling {
            wanted,
            columns,
            mounts,
            resolver,
            out,
        } = telling;
        Self {
            hub: Hub::start(tier),
            set: WaitSet::default(),
            exits: Exits::none(),
            seat: Seat::default(),
            has_looked: false,
            teller: Teller::new(wanted, columns, Places::new(mounts, resolver), out),
            is_loading: false,
            load_at: None,
            backends: Vec::new(),
            status_of: None,
            progress: None,
            to_break: None,
            is_deaf: false,
            said_armed: None,
        }
    }

    /// What happens to it from now on is not missed.
    pub fn arm(&mut self, target: Target, until: Until) -> Result<(), WaitError> {
        self.seat.seek(&target, until);
        self.set
            .arm(&self.hub, target, until)
            .map_err(WaitError::Look)
    }

    /// Names a cgroup and all below it, so that records of it have paths.
    pub fn place(&mut self, mount: &Mount, directory: &Path) {
        let subtree = mounts::path_below(mount, directory).map(|root| Mount {
            mount_point: directory.to_owned(),
            root,
            ..mount.clone()
        });
        if let Some(subtree) = subtree
            && let Ok(id) = mounts::root(&subtree)
        {
            Places::feed_subtree(&mut self.teller.tracker, &subtree, id);
        }
    }

    /// Shows how many are left while it takes long.
    pub fn show_progress(&mut self, bar: ProgressBar) {
        self.progress = Some(bar);
    }

    /// Looks, once; how many waits are done.
    pub fn look(&mut self) -> Result<usize, WaitError> {
        let done = self.set.look();
        self.looked(done)
    }

    /// See [`WaitSet::look_at_last`].
    pub fn look_at_last(&mut self) -> Result<usize, WaitError> {
        let done = self.set.look_at_last();
        self.looked(done)
    }

    fn looked(&mut self, done: io::Result<usize>) -> Result<usize, WaitError> {
        let done = done.map_err(WaitError::Look)?;
        self.has_looked = true;
        if self.backends.is_empty() {
            self.backends.push(self.serving());
        }
        if self.status_of.is_some() && done == self.set.len() && self.lacks_status()? {
            return Ok(done - 1);
        }
        Ok(done)
    }

    fn live(&self) -> usize {
        let survivors = self.set.waits().map(|(wait, _)| wait.survivors());
        survivors
            .map(|pids| pids.map_or(0, |pids| pids.len()))
            .sum()
    }
}
