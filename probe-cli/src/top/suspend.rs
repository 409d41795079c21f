//! Suspends `probe top` on Ctrl-Z.

use std::io;

use probe_user::unstable::proc::{directory::ProcessDirectory, stat::Stat};
use rustix::process::{Signal, getpid, kill_process};

/// Stops this process until a shell continues it. Without a shell that could continue it,
/// this function does nothing, like Ctrl-Z in the kernel.
pub(super) fn stop() -> io::Result<()> {
    if has_job_control().unwrap_or(false) {
        kill_process(getpid(), Signal::STOP)?;
    }
    Ok(())
}

/// Whether a shell waits for this process group. The kernel calls a group orphaned if no
/// member has a parent outside of the group but inside of the session.
fn has_job_control() -> Option<bool> {
    let own = ProcessDirectory::own().ok()?.content("stat").ok()?;
    let own = Stat::parse(&own)?;
    let mut ppid = own.ppid;
    while ppid > 0 {
        let parent = ProcessDirectory::open(ppid).ok()?.content("stat").ok()?;
        let parent = Stat::parse(&parent)?;
        if parent.session != own.session {
            return Some(false);
        }
        if parent.pgrp != own.pgrp {
            return Some(true);
        }
        ppid = parent.ppid;
    }
    Some(false)
}
