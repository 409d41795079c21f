//! Kills, freezes, thaws and removes a cgroup.
//!
//! Every operation goes through the open directory of the cgroup, never through a path,
//! because another cgroup may have that path by now.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, fstat, openat, unlinkat},
    io::Errno,
};

use super::{
    members::Members,
    open::{DIRECTORY, FILE, hidden, open_child},
    pinned::{PinnedCgroup, is_gone},
    walk::{Step, Walk, entries, is_removed},
};

const WRITE: OFlags = OFlags::WRONLY.union(OFlags::CLOEXEC);

/// A handle for changes of a pinned cgroup.
#[derive(Debug)]
pub struct CgroupControl {
    directory: OwnedFd,
    path: PathBuf,
    hierarchy: u32,
}

impl CgroupControl {
    /// A handle of a pinned cgroup, which outlives that pin.
    pub fn of(pinned: &PinnedCgroup) -> io::Result<Self> {
        Ok(Self {
            directory: pinned.as_fd().try_clone_to_owned()?,
            path: pinned.path().to_owned(),
            hierarchy: pinned.id.hierarchy,
        })
    }

    /// Another handle of the same cgroup.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            directory: self.directory.try_clone()?,
            path: self.path.clone(),
            hierarchy: self.hierarchy,
        })
    }

    /// Path of the directory when it was pinned, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is a cgroup of the v2 hierarchy.
    #[must_use]
    pub const fn is_v2(&self) -> bool {
        self.hierarchy == 0
    }

    /// Whether the cgroup has not been removed.
    #[must_use]
    pub fn exists(&self) -> bool {
        is_removed(self.directory.as_fd()).is_ok_and(|it| !it)
    }

    /// Thread groups in the subtree now; empty if the cgroup is gone. The kernel shows a
    /// process outside of this pid namespace as 0.
    pub fn members(&self) -> io::Result<Vec<u32>> {
        Members::of(self.directory.as_fd()).complete()
    }

    /// [`Self::members`], without those of descendants that a mount hides.
    pub(crate) fn visible_members(&self) -> io::Result<Vec<u32>> {
        let listed = Members::of(self.directory.as_fd());
        match listed.error {
            Some(error) if hidden(&error).is_none() => Err(error),
            _ => Ok(listed.pids),
        }
    }

    /// Whether the kernel can send SIGKILL to the whole subtree.
    pub(crate) fn has_kill(&self) -> bool {
        openat(&self.directory, "cgroup.kill", WRITE, Mode::empty()).is_ok()
    }

    /// Reads a file of the cgroup.
    pub(crate) fn read(&self, file: &str) -> io::Result<String> {
        read(self.directory.as_fd(), file)
    }

    /// Makes the kernel send SIGKILL to the whole subtree (v2, Linux 5.14).
    pub fn kill(&self) -> io::Result<()> {
        write(self.directory.as_fd(), "cgroup.kill", "1")
    }

    /// Path of the closest ancestor that is not threaded, if this cgroup is threaded. Its
    /// processes have threads in this cgroup.
    #[must_use]
    pub(crate) fn domain_root(&self) -> Option<PathBuf> {
        let mut path = self.path.as_path();
        let mut directory = is_threaded(self.directory.as_fd()).then(|| self.parent())?;
        loop {
            path = path.parent()?;
            let Ok(parent) = directory else {
                return Some(path.to_owned());
            };
            if !is_threaded(parent.as_fd()) {
                return Some(path.to_owned());
            }
            directory = open_child(parent.as_fd(), "..", DIRECTORY);
        }
    }

    /// Whether the cgroup can be frozen, as every v2 cgroup (Linux 5.2) and those of the v1
    /// freezer can.
    #[must_use]
    pub(crate) fn has_freezer(&self) -> bool {
        openat(&self.directory, self.freezer().0, FILE, Mode::empty()).is_ok()
    }

    /// Whether the cgroup is frozen or is becoming so. On v1 this includes a frozen
    /// ancestor.
    #[must_use]
    pub(crate) fn is_frozen(&self) -> bool {
        is_frozen(self.directory.as_fd(), self.hierarchy).is_ok_and(|it| it)
    }

    /// Whether SIGKILL stays pending until the cgroup is thawed, as in a frozen v1 cgroup.
    #[must_use]
    pub(crate) fn delays_sigkill(&self) -> bool {
        self.hierarchy != 0 && self.is_frozen()
    }

    /// Freezes all tasks, so that none of them forks.
    pub fn freeze(&self) -> io::Result<()> {
        let (file, frozen, _) = self.freezer();
        write(self.directory.as_fd(), file, frozen)
    }

    /// Thaws all tasks.
    pub fn thaw(&self) -> io::Result<()> {
        let (file, _, thawed) = self.freezer();
        write(self.directory.as_fd(), file, thawed)
    }

    /// Thaws every frozen cgroup of the subtree.
    pub(crate) fn thaw_all(&self) -> io::Result<()> {
        if !self.has_freezer() {
            return Ok(());
        }
        let (file, _, thawed) = self.freezer();
        let mut walk = Walk::of(self.directory.as_fd())?;
        while let Some(step) = walk.step()? {
            if let Step::Enter = step
                && is_frozen(walk.directory(), self.hierarchy)?
            {
                match write(walk.directory(), file, thawed) {
                    Err(error) if is_gone(&error) => {}
                    written => written?,
                }
            }
        }
        Ok(())
    }

    /// The shell command that thaws the cgroup.
    #[must_use]
    pub fn thaw_command(&self) -> String {
        let (file, _, thawed) = self.freezer();
        let file = self.path.join(file).display().to_string();
        format!("echo {thawed} > '{}'", file.replace('\'', "'\\''"))
    }

    const fn freezer(&self) -> (&'static str, &'static str, &'static str) {
        freezer(self.hierarchy)
    }

    /// Removes the subtree, the deepest cgroups first. Succeeds if it is gone already;
    /// fails with `EBUSY` while a task is in it.
    pub fn remove(&self) -> io::Result<()> {
        let mut walk = Walk::of(self.directory.as_fd())?;
        while let Some(step) = walk.step().map_err(busy_if_hidden)? {
            if let Step::Leave(name) = step {
                remove_one(walk.directory(), &name)?;
            }
        }
        let parent = match self.parent() {
            Err(error) if is_gone(&error) => return Ok(()),
            parent => parent?,
        };
        while let Some(name) = self.name_in(&parent)? {
            remove_one(parent.as_fd(), &name)?;
        }
        Ok(())
    }

    /// The name of the cgroup in its parent; `None` if it was removed. A v1 cgroup can be renamed,
    /// and another one may have its former name.
    fn name_in(&self, parent: &OwnedFd) -> io::Result<Option<CString>> {
        let own = fstat(&self.directory)?.st_ino;
        let mut found = None;
        entries(parent.as_fd(), &mut |name, _, id| {
            found = (id == own).then(|| name.to_owned());
            found.is_none()
        })?;
        Ok(found)
    }

    fn parent(&self) -> io::Result<OwnedFd> {
        open_child(self.directory.as_fd(), "..", DIRECTORY)
    }
}

/// A cgroup that is a mount point is as busy for `rmdir` as one with a task.
fn busy_if_hidden(error: io::Error) -> io::Error {
    match hidden(&error) {
        Some(_) => Errno::BUSY.into(),
        None => error,
    }
}

/// The file of the freezer, and its values for frozen and thawed.
const fn freezer(hierarchy: u32) -> (&'static str, &'static str, &'static str) {
    match hierarchy {
        0 => ("cgroup.freeze", "1", "0"),
        _ => ("freezer.state", "FROZEN", "THAWED"),
    }
}

/// Whether a cgroup is frozen or is becoming so; `false` if it is gone or has no freezer.
pub(crate) fn is_frozen(directory: BorrowedFd<'_>, hierarchy: u32) -> io::Result<bool> {
    let (file, _, thawed) = freezer(hierarchy);
    match read(directory, file) {
        Ok(state) => Ok(state.trim_end() != thawed),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_one(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn is_threaded(directory: BorrowedFd<'_>) -> bool {
    read(directory, "cgroup.type").is_ok_and(|kind| kind.trim_end() == "threaded")
}

fn read(directory: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    let file = openat(directory, name, FILE, Mode::empty())?;
    io::read_to_string(File::from(file))
}

fn write(directory: BorrowedFd<'_>, name: &str, value: &str) -> io::Result<()> {
    let file = openat(directory, name, WRITE, Mode::empty())?;
    File::from(file).write_all(value.as_bytes())
}
