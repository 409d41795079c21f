//! Ctrl-Z.

use std::io;

use probe_user::unstable::proc::{directory::ProcessDirectory, stat::Stat};
use rustix::process::{Signal, getpid, kill_process};

/// Stops this process until somebody continues it. Where nobody could, nothing
/// happens, as with the kernel's own Ctrl-Z.
pub(super) fn stop() -> io::Result<()> {
    if somebody_controls_us().unwrap_or(false) {
        kill_process(getpid(), Signal::STOP)?;
    }
    Ok(())
}

/// Whether a shell waits for our process group: the kernel calls a group without
/// a parent outside of it, but in its session, orphaned.
fn somebody_controls_us() -> Option<bool> {
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
