//! Reports the removal of cgroups, by inotify on their parent directories.
//!
//! `rmdir` cancels a pending notification of `cgroup.events`, but inotify reports it, on v1
//! and v2.

use std::{
    ffi::{CString, OsString},
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::PathBuf,
};

use crate::closing::ClosedOnThread;
use rustix::fs::{Mode, OFlags, inotify, openat, readlink};

/// One inotify instance.
#[derive(Debug)]
pub struct Removals {
    inotify: ClosedOnThread<OwnedFd>,
}

/// A directory entry: number of the watch of its parent, and its name there.
pub type Entry = (i32, OsString);

/// A change that inotify reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The directory of this entry was removed.
    Removed(Entry),
    /// A v1 cgroup was renamed: its entry before and after.
    Renamed(Entry, Entry),
    /// Events were lost, and every entry must be checked.
    Lost,
}

impl Removals {
    /// Makes an instance that watches no directory yet.
    pub fn new() -> io::Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags)?;
        Ok(Self {
            inotify: ClosedOnThread::new(inotify),
        })
    }

    /// Watches for the removal of an open directory, and returns the entry that
    /// [`Removals::drain`] reports then. The name in the entry comes from the kernel's path
    /// of the directory; its parent is opened relative to it.
    pub fn watch(&self, directory: BorrowedFd<'_>) -> io::Result<Entry> {
        let path = readlink(proc_path(directory), Vec::new())?;
        let path = PathBuf::from(OsString::from_vec(CString::into_bytes(path)));
        let name = path
            .file_name()
            .ok_or(io::ErrorKind::NotFound)?
            .to_os_string();
        let parent = openat(
            directory,
            "..",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mask =
            inotify::WatchFlags::DELETE | inotify::WatchFlags::MOVE | inotify::WatchFlags::ONLYDIR;
        let watch = inotify::add_watch(&*self.inotify, proc_path(parent.as_fd()), mask)?;
        Ok((watch, name))
    }

    /// Stops watching the parent directory of an entry.
    pub fn unwatch(&self, watch: i32) {
        if let Err(errno) = inotify::remove_watch(&*self.inotify, watch) {
            tracing::debug!(%errno, "cannot remove an inotify watch: the directory is gone");
        }
    }

    /// Passes the changes until now to `sink`.
    pub fn drain(&self, mut sink: impl FnMut(Change)) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&*self.inotify, &mut buffer);
        let mut from = None;
        // The loop ends with `EAGAIN`.
        while let Ok(event) = reader.next() {
            if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
                sink(Change::Lost);
            } else if let Some(name) = event.file_name() {
                let name = OsString::from_vec(name.to_bytes().to_vec());
                let entry = (event.wd(), name);
                if event.events().contains(inotify::ReadFlags::MOVED_FROM) {
                    from = Some((event.cookie(), entry));
                } else if event.events().contains(inotify::ReadFlags::MOVED_TO) {
                    let before = from.take().filter(|(cookie, _)| *cookie == event.cookie());
                    sink(before.map_or(Change::Lost, |(_, before)| Change::Renamed(before, entry)));
                } else {
                    sink(Change::Removed(entry));
                }
            }
        }
    }
}

impl AsFd for Removals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
