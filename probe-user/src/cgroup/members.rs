//! Lists the processes of a cgroup and its descendants.
//!
//! A threaded cgroup refuses to list processes (`EOPNOTSUPP`), but lists its threads.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::BorrowedFd,
};

use rustix::{
    fs::{Mode, openat},
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::{
    open::FILE,
    pinned::is_gone,
    walk::{Step, Walk},
};

/// The thread groups of a subtree, each once. The kernel shows a process outside of this pid
/// namespace as 0.
#[derive(Debug, Default)]
pub struct Members {
    /// The thread groups in the lists that could be read.
    pub pids: Vec<u32>,
    /// Why a list could not be read. A cgroup that is gone has no processes.
    pub error: Option<io::Error>,
}

impl Members {
    /// Reads the lists of an open cgroup and its descendants.
    #[must_use]
    pub fn of(directory: BorrowedFd<'_>) -> Self {
        let mut members = Self::default();
        let mut walk = match Walk::of(directory) {
            Ok(walk) => walk,
            Err(error) => return members.with(error),
        };
        loop {
            let listed = match walk.step() {
                Ok(Some(Step::Enter)) => thread_groups(walk.directory()),
                Ok(Some(Step::Leave(_))) => continue,
                Ok(None) => break,
                Err(error) => Err(error),
            };
            match listed {
                Ok(pids) => members.pids.extend(pids),
                Err(error) => members = members.with(error),
            }
        }
        members.pids.sort_unstable();
        members.pids.dedup();
        members
    }

    fn with(mut self, error: io::Error) -> Self {
        if !is_gone(&error) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// The thread groups, or the error if a list is missing.
    pub fn complete(self) -> io::Result<Vec<u32>> {
        self.error.map_or(Ok(self.pids), Err)
    }
}

fn thread_groups(directory: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let listed = read_pids(directory, "cgroup.procs");
    match &listed {
        Err(error) if Errno::from_io_error(error) == Some(Errno::OPNOTSUPP) => {}
        _ => return listed,
    }
    let mut pids = Vec::new();
    for tid in read_pids(directory, "cgroup.threads")? {
        pids.extend(thread_group(tid)?);
    }
    Ok(pids)
}

/// The thread group of a thread; `None` if the thread is gone.
fn thread_group(tid: u32) -> io::Result<Option<u32>> {
    if tid == 0 {
        return Ok(Some(0));
    }
    let status = match fs::read(format!("/proc/{tid}/status")) {
        Ok(status) => status,
        Err(error) if is_gone_task(&error) && !exists(tid) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut lines = status.split(|&byte| byte == b'\n');
    let tgid = lines.find_map(|line| line.strip_prefix(b"Tgid:"));
    let tgid = tgid.and_then(|it| str::from_utf8(it).ok()?.trim().parse().ok());
    tgid.map(Some).ok_or_else(|| unexpected("status"))
}

fn is_gone_task(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::SRCH)
    )
}

/// Whether a thread exists, although `/proc` may hide it.
fn exists(tid: u32) -> bool {
    let tid = i32::try_from(tid).ok().and_then(Pid::from_raw);
    tid.is_some_and(|tid| test_kill_process(tid) != Err(Errno::SRCH))
}

/// The numbers in a file with one number a line.
pub(super) fn read_pids(directory: BorrowedFd<'_>, name: &'static str) -> io::Result<Vec<u32>> {
    let mut file = File::from(openat(directory, name, FILE, Mode::empty())?);
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let pids = text.lines().map(str::parse);
    pids.collect::<Result<_, _>>()
        .map_err(|_malformed| unexpected(name))
}

fn unexpected(file: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("unexpected content in {file}"),
    )
}
