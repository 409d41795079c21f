//! Checks pidfds with a child process.

use std::{
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio},
};

use probe_user::unstable::proc::pidfd_info;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::Check;

const OPEN: &str = "pidfd_open";
const INFO: &str = "PIDFD_INFO_EXIT";

/// Adds all checks, and returns the one that the backend requires: a pidfd becomes readable
/// when its process exits.
pub(super) fn examine(checks: &mut Vec<Check>) -> Check {
    let [open, info] = try_on_a_child();
    checks.extend([open.clone(), info]);
    open
}

fn try_on_a_child() -> [Check; 2] {
    let both = |reason: String, hint: &'static str| {
        [
            Check::no(OPEN, reason.clone(), Some(hint)),
            Check::no(INFO, reason, Some(hint)),
        ]
    };
    let mut child = match child() {
        Ok(child) => child,
        Err(error) => {
            let hint = "install `cat` (coreutils), or raise the limit on processes";
            return both(format!("cannot start a child: {error}"), hint);
        }
    };
    let pidfd = match open(&child) {
        Ok(pidfd) => pidfd,
        Err(error) => {
            let _ended = child.kill().and_then(|()| child.wait());
            return both(
                error.to_string(),
                "needs Linux 5.3, and a seccomp filter that allows pidfd_open",
            );
        }
    };
    // `cat` ends when its stdin is closed.
    drop(child.stdin.take());
    let open = readable(&pidfd);
    let _reaped = child.wait();
    let info = match pidfd_info::exit_status(pidfd.as_fd()) {
        Ok(Some(_status)) => Check::yes(INFO, "keeps the status of a reaped process"),
        Ok(None) => Check::no(
            INFO,
            "has no status of a reaped process",
            Some("needs Linux 6.15"),
        ),
        Err(errno) => Check::no(INFO, errno.to_string(), Some("needs Linux 6.15")),
    };
    [open, info]
}

fn child() -> std::io::Result<Child> {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
}

fn open(child: &Child) -> rustix::io::Result<OwnedFd> {
    pidfd_open(Pid::from_child(child), PidfdFlags::empty())
}

const SLOW: Option<&str> = Some("try again when the machine is less busy");

fn readable(pidfd: &OwnedFd) -> Check {
    let limit = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    match poll(&mut fds, Some(&limit)) {
        Ok(0) => Check::no(OPEN, "not readable 10 s after the process exited", SLOW),
        Ok(_) => Check::yes(OPEN, "becomes readable when the process exits"),
        Err(errno) => Check::no(OPEN, errno.to_string(), SLOW),
    }
}
