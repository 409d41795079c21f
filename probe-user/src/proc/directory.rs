//! Reads files of an open `/proc/PID`, as bytes.
//!
//! An open directory belongs to one process: once that process is reaped, its files can no
//! longer be opened, even if another process has the pid.

use std::{
    fmt,
    fs::{self, File},
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    buffer::spare_capacity,
    fs::{CWD, Dir, Mode, OFlags, openat},
    io::{Errno, read},
    path::Arg,
};

use super::{
    look::Shown,
    stat::{Stat, number},
    visibility,
};

/// An open `/proc/PID` of a process or a thread.
#[derive(Debug)]
pub struct ProcessDirectory(OwnedFd);

impl ProcessDirectory {
    /// Opens the directory of a process, or of a thread by its tid. Fails with
    /// [`ForeignProc`](super::visibility::ForeignProc) if `/proc` belongs to another pid
    /// namespace, where another process has the pid.
    pub fn open(pid: u32) -> io::Result<Self> {
        visibility::check_namespace()?;
        Self::open_path(format!("/proc/{pid}"))
    }

    /// Opens the directory of the calling process.
    pub fn own() -> io::Result<Self> {
        Self::open_path("/proc/self")
    }

    /// Opens a directory by its path, which need not lie below `/proc`.
    pub(crate) fn open_path(path: impl Arg) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// Replaces the content of the buffer by that of a file, such as `stat` or
    /// `task/7/stat`. One buffer serves many files, so that a scan does not allocate.
    pub fn read(&self, file: impl Arg, buffer: &mut Vec<u8>) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.0, file, flags, Mode::empty())?;
        buffer.clear();
        loop {
            buffer.reserve(1024);
            if read(&file, spare_capacity(buffer))? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads a file into a new buffer.
    pub fn content(&self, file: impl Arg) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        self.read(file, &mut buffer)?;
        Ok(buffer)
    }

    /// Opens a file.
    pub(super) fn file(&self, name: impl Arg) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// What `stat` shows now of the process that started at this tick.
    pub(super) fn shown(&self, start_ticks: u64, buffer: &mut Vec<u8>) -> io::Result<Shown> {
        match self.read("stat", buffer) {
            Ok(()) => Ok(Shown::of(&Stat::read(buffer)?, start_ticks)),
            Err(error) if is_gone(&error) => Ok(Shown::Gone),
            Err(error) => Err(error),
        }
    }

    /// Tids of the process. Threads may start and end meanwhile.
    pub fn tids(&self) -> io::Result<Vec<u32>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(&self.0, "task", flags, Mode::empty())?;
        let mut tids = Vec::new();
        for entry in Dir::read_from(directory)? {
            tids.extend(number::<u32>(entry?.file_name().to_bytes()));
        }
        Ok(tids)
    }
}

impl AsFd for ProcessDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether the error means that `/proc` shows no such process: its directory cannot be opened,
/// or a file that was opened can no longer be read. Where `/proc` does not hide processes, the
/// process does not exist (any more).
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::SRCH)
}

/// The error for a file of `/proc` that cannot be parsed.
pub(super) fn malformed(file: impl fmt::Display) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("unexpected content in /proc/PID/{file}"),
    )
}

/// The pids that `/proc` lists, in the order of the kernel.
#[derive(Debug)]
pub struct Pids(fs::ReadDir);

impl Pids {
    /// Opens `/proc`, which must belong to the pid namespace of this process.
    pub fn list() -> io::Result<Self> {
        visibility::check_namespace()?;
        Ok(Self(fs::read_dir(Path::new("/proc"))?))
    }
}

impl Iterator for Pids {
    type Item = io::Result<u32>;

    fn next(&mut self) -> Option<io::Result<u32>> {
        self.0.find_map(|entry| match entry {
            Ok(entry) => number(entry.file_name().as_encoded_bytes()).map(Ok),
            Err(error) => Some(Err(error)),
        })
    }
}

/// What a search of `/proc` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Pid and start, in `CLOCK_BOOTTIME` nanoseconds, of the processes.
    pub found: Vec<(u32, u64)>,
    /// Whether every process was looked at. If not, a process that was not found may exist:
    /// `/proc` hides processes, belongs to another pid namespace, or has files that cannot be
    /// read.
    pub is_complete: bool,
}

impl Search {
    /// Searches for the processes for which `look` returns their pid and start. A process that
    /// is gone meanwhile is left out.
    pub(super) fn run(
        mut look: impl FnMut(u32) -> io::Result<Option<(u32, u64)>>,
    ) -> io::Result<Self> {
        if !visibility::is_own() {
            return Ok(Self::default());
        }
        let mut search = Self {
            found: Vec::new(),
            is_complete: !visibility::hides_processes(),
        };
        for pid in Pids::list()? {
            let pid = pid?;
            match look(pid) {
                Ok(one) => search.found.extend(one),
                Err(error) if is_gone(&error) => {}
                Err(error) if is_shortage(&error) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "cannot read the files of process {pid}");
                    search.is_complete = false;
                }
            }
        }
        Ok(search)
    }
}

/// Whether this process ran out of descriptors or memory, so a search cannot go on.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}
