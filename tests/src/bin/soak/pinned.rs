//! A process of a trial, held open. This file uses no code of the library under test.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::sys;

/// A pidfd, so that a later process with the same pid is not taken for this one.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) pid: u32,
    pidfd: OwnedFd,
}

impl Pinned {
    pub(crate) fn open(pid: u32) -> Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pidfd = pidfd_open(raw.context("a pid")?, PidfdFlags::empty());
        Ok(Self {
            pid,
            pidfd: pidfd.with_context(|| format!("open the member {pid}"))?,
        })
    }

    /// Whether all threads have exited.
    pub(crate) fn has_exited(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Whether the parent has reaped the process.
    pub(crate) fn is_reaped(&self) -> bool {
        sys::is_reaped(&self.pidfd)
    }
}
