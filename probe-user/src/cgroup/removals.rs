//! inotify on the directories that hold cgroups: `rmdir` of one by somebody
//! else cancels its pending `cgroup.events` notification, but is told here, in
//! v1 and v2 alike.

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

impl Removals {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags)?;
        Ok(Self {
            inotify: ClosedOnThread::new(inotify),
        })
    }

    /// From now on the removal of this open directory is told. The path that the
    /// kernel gives it tells its name; its parent is reached by descriptor.
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
        let mask = inotify::WatchFlags::DELETE | inotify::WatchFlags::ONLYDIR;
        let watch = inotify::add_watch(&*self.inotify, proc_path(parent.as_fd()), mask)?;
        Ok((watch, name))
    }

    /// Nobody asks for entries of this directory any more.
    pub fn unwatch(&self, watch: i32) {
        if let Err(errno) = inotify::remove_watch(&*self.inotify, watch) {
            tracing::debug!(%errno, "the directory is gone");
        }
    }

    /// Hands over what was removed by now. `None`: too much to tell, look at all.
    pub fn drain(&self, mut sink: impl FnMut(Option<Entry>)) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&*self.inotify, &mut buffer);
        // Ends with `EAGAIN`.
        while let Ok(event) = reader.next() {
            if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
                sink(None);
            } else if let Some(name) = event.file_name() {
                let name = OsString::from_vec(name.to_bytes().to_vec());
                sink(Some((event.wd(), name)));
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
