//! Checks pidfds with a child process.

use std::{
    os::fd::{AsFd, OwnedFd},
    process::{Command, Stdio},
};

use probe_user::unstable::proc::pidfd_info;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{Check, no, yes};

const OPEN: &str = "pidfd_open";
const INFO: &str = "PIDFD_INFO_EXIT";

/// Adds all checks, and returns the one that the backend requires: a pidfd becomes readable
/// when its process exits.
pub(super) fn examine(checks: &mut Vec<Check>) -> Check {
    let [open, info] = try_on_a_child()
        .unwrap_or_else(|(reason, hint)| [OPEN, INFO].map(|name| no(name, &reason, hint)));
    checks.extend([open.clone(), info]);
    open
}

fn try_on_a_child() -> Result<[Check; 2], (String, &'static str)> {
    let mut cat = Command::new("cat");
    let child = cat.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = child.map_err(|error| {
        let hint = "install `cat` (coreutils), or raise the limit on processes";
        (format!("cannot start a child: {error}"), hint)
    })?;
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    // `cat` ends when its stdin is closed.
    drop(child.stdin.take());
    let opened = pidfd.map(|pidfd| (readable(&pidfd), pidfd));
    let _reaped = child.wait();
    let (open, pidfd) = opened.map_err(|errno| {
        let hint = "needs Linux 5.3, and a seccomp filter that allows pidfd_open";
        (errno.to_string(), hint)
    })?;
    let info = match pidfd_info::exit_status(pidfd.as_fd()) {
        Ok(Some(_status)) => yes(INFO, "keeps the status of a reaped process"),
        Ok(None) => no(
            INFO,
            "has no status of a reaped process",
            "needs Linux 6.15",
        ),
        Err(errno) => no(INFO, errno.to_string(), "needs Linux 6.15"),
    };
    Ok([open, info])
}

fn readable(pidfd: &OwnedFd) -> Check {
    const HINT: &str = "try again when the machine is less busy";
    let limit = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    match poll(&mut fds, Some(&limit)) {
        Ok(0) => no(OPEN, "not readable 10 s after the process exited", HINT),
        Ok(_) => yes(OPEN, "becomes readable when the process exits"),
        Err(errno) => no(OPEN, errno.to_string(), HINT),
    }
}
