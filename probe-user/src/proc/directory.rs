//! Reads files of an open `/proc/PID`, as bytes.
//!
//! An open directory belongs to one process: once that process is reaped, its files can no
//! longer be opened, even if another process has the pid.

use std::{
    fmt, fs,
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

use super::stat::number;

/// An open `/proc/PID` of a process or a thread.
#[derive(Debug)]
pub struct ProcessDirectory(OwnedFd);

impl ProcessDirectory {
    /// Opens the directory of a process, or of a thread by its tid.
    pub fn open(pid: u32) -> io::Result<Self> {
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

/// Whether the error means that the process does not exist (any more): its directory cannot
/// be opened, or a file that was opened can no longer be read.
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
    /// Opens `/proc`.
    pub fn list() -> io::Result<Self> {
        Ok(Self(fs::read_dir(Path::new("/proc"))?))
    }
}

impl Iterator for Pids {
    type Item = io::Result<u32>;

    fn next(&mut self) -> Option<io::Result<u32>> {
        self.0.find_map(|entry| match entry {
            Ok(entry) => entry.file_name().to_str()?.parse().ok().map(Ok),
            Err(error) => Some(Err(error)),
        })
    }
}

/// Collects the results of `look` for each process. A process that is gone, or hidden from
/// this one, is left out, so a wait does not wait for it.
pub(super) fn find_all<T>(
    mut look: impl FnMut(u32) -> io::Result<Option<T>>,
) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for pid in Pids::list()? {
        match pid.and_then(&mut look) {
            Ok(one) => found.extend(one),
            Err(error) if is_gone(&error) => {}
            Err(error) => tracing::debug!(%error, "cannot read the files of a process"),
        }
    }
    Ok(found)
}
