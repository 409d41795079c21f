//! pidfds, tried on a child process.

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

/// Whether the backend works: a pidfd tells when its process has exited.
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
            let hint = "install `cat` (coreutils), or allow another process";
            return both(format!("cannot start a child: {error}"), hint);
        }
    };
    let pidfd = match open(&child) {
        Ok(pidfd) => pidfd,
        Err(error) => {
            let _ended = child.kill().and_then(|()| child.wait());
            return both(
                error.to_string(),
                "needs Linux 5.3, and no seccomp filter against it",
            );
        }
    };
    // `cat` ends when its stdin is closed.
    drop(child.stdin.take());
    let open = readable(&pidfd);
    let _reaped = child.wait();
    let info = match pidfd_info::exit_status(pidfd.as_fd()) {
        Ok(Some(_status)) => Check::yes(INFO, "status of a reaped process is kept"),
        Ok(None) => Check::no(INFO, "no status after the reap", Some("needs Linux 6.15")),
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

const SLOW: Option<&str> = Some("try again when the machine has less to do");

fn readable(pidfd: &OwnedFd) -> Check {
    let limit = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    match poll(&mut fds, Some(&limit)) {
        Ok(0) => Check::no(OPEN, "not readable 10 s after the exit", SLOW),
        Ok(_) => Check::yes(OPEN, "readable at the exit"),
        Err(errno) => Check::no(OPEN, errno.to_string(), SLOW),
    }
}
