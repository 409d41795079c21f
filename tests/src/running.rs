//! A child process with pipes that cannot outlive its test.

use std::{
    cell::RefCell,
    fs,
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use crate::{Deadline, Output, lines::Lines};

/// A running child process. Dropping it kills the process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    /// Lines of stderr that have been read.
    stderr_lines: RefCell<Vec<String>>,
}

impl Running {
    /// Starts a command with an empty stdin and with pipes for stdout and stderr.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Self::spawn(command.stderr(Stdio::piped()))
    }

    /// Starts a command with the stdin, stdout and stderr that it is configured with.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Self {
            // Taken, because `Child::wait` would close it, and a victim ends then.
            stdin: child.stdin.take(),
            stdout: lines(child.stdout.take()),
            stderr: lines(child.stderr.take()),
            child,
            stderr_lines: RefCell::default(),
        }
    }

    /// The pid of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal from this process.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("not reaped yet");
    }

    /// Stops the process; it sees events up to [`Running::resume`] all at once.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        Deadline::start().until("the process is stopped", || state(self.pid()) == Some('T'));
    }

    /// Continues a stopped process.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether the process has not exited.
    #[must_use]
    pub fn is_running(&self) -> bool {
        state(self.pid()) != Some('Z')
    }

    /// One field of its `/proc/PID/status`.
    #[must_use]
    pub fn status(&self, field: &str) -> String {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(path).expect("not reaped yet");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let value = line.and_then(|rest| rest.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("no {field} in {status}"));
        value.trim().to_owned()
    }

    /// The next line of stdout; `None` at its end.
    #[must_use]
    pub fn next_line(&self) -> Option<String> {
        self.stdout.next(Deadline::start()).ok()
    }

    /// The next line of stderr.
    #[must_use]
    pub fn next_stderr_line(&self) -> String {
        let line = self.stderr.next(Deadline::start());
        line.unwrap_or_else(|reason| panic!("no line on stderr: {reason:?}"))
    }

    /// Reads stderr up to the next line with these words, or panics.
    pub fn wait_for_stderr(&self, words: &str) {
        let deadline = Deadline::start();
        let mut lines = self.stderr_lines.borrow_mut();
        loop {
            match self.stderr.next(deadline) {
                Ok(line) => {
                    let is_found = line.contains(words);
                    lines.push(line);
                    if is_found {
                        return;
                    }
                }
                Err(reason) => panic!("no '{words}' on stderr ({reason:?}): {lines:#?}"),
            }
        }
    }

    /// All lines of stderr that have arrived.
    pub(crate) fn stderr_so_far(&self) -> Vec<String> {
        let mut lines = self.stderr_lines.take();
        lines.extend(self.stderr.so_far());
        lines
    }

    /// Reaps the process.
    #[must_use]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_until(Deadline::start())
    }

    pub(crate) fn wait_until(&mut self, deadline: Deadline) -> ExitStatus {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status;
        }
        let pid = Pid::from_child(&self.child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("not reaped yet");
        let patience = Timespec::try_from(deadline.left()).expect("seconds");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&patience)).expect("poll of a pidfd");
        assert!(ready == 1, "process {pid:?} did not end in time");
        self.child.wait().expect("our child")
    }

    /// Collects the output until the process ends, which must happen within the deadline.
    #[must_use]
    pub fn finish(mut self) -> Output {
        let stdout = text(&self.stdout.rest());
        let mut stderr = self.stderr_lines.take();
        stderr.extend(self.stderr.rest());
        let status = self.wait();
        Output {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr: text(&stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail if the process has been reaped.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn lines(pipe: Option<impl Read + Send + 'static>) -> Lines {
    match pipe {
        Some(pipe) => Lines::of(pipe),
        None => Lines::of(io::empty()),
    }
}

fn text(lines: &[String]) -> String {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}

/// The state of a process, a letter; `None` without such a process.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
