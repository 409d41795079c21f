//! Pins a cgroup by its open directory, reads its state, and provides a file that reports
//! changes of that state.
//!
//! On v2 `populated` of `cgroup.events` is the truth. Polling that file is only a hint: the
//! kernel notifies up to 16 ms late if another change came shortly before, and not at all
//! if the cgroup is removed meanwhile. On v1 there is no such file. A v1 cgroup is empty if
//! `tasks` and `cgroup.procs` of the whole subtree are empty. Both are opened for each read,
//! because v1 caches the list for an open file.

use std::{
    borrow::Cow,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, openat},
    io::Errno,
};

pub use super::pin_error::PinError;
use super::{
    members::{Members, read_pids},
    mounts::{Mount, walk_below},
    open::{DIRECTORY, FILE, descend},
    walk::{Step, Walk, is_removed},
};
use crate::model::{CgroupId, CgroupState};

/// A cgroup that stays the same one even if a later cgroup has its name.
#[derive(Debug)]
pub struct PinnedCgroup {
    /// Identity.
    pub id: CgroupId,
    directory: OwnedFd,
    /// Path of the directory when it was pinned.
    path: PathBuf,
    /// Path below the root of the hierarchy when it was pinned.
    below: Vec<u8>,
    mount_point: PathBuf,
    /// `cgroup.events`; v2 only.
    events: Option<File>,
}

/// Opens the directory of a cgroup on a mount. No other file system is touched.
pub fn lookup(mount: &Mount, path: &Path) -> Result<OwnedFd, PinError> {
    let below = path.strip_prefix(&mount.mount_point);
    let below = below.map_err(|_outside| PinError::failed(path, Errno::XDEV))?;
    descend(&mount.mount_point, below).map_err(|blocked| PinError::blocked(path, blocked))
}

/// Identity of the cgroup with this directory, which is on the mount.
pub(crate) fn id(mount: &Mount, path: &Path) -> Result<CgroupId, PinError> {
    let directory = lookup(mount, path)?;
    let stat = rustix::fs::fstat(&directory).map_err(|errno| PinError::failed(path, errno))?;
    Ok(CgroupId {
        hierarchy: mount.hierarchy,
        id: stat.st_ino,
    })
}

/// Uid of the owner of a cgroup; `None` if its directory cannot be opened.
#[must_use]
pub fn owner(mount: &Mount, path: &Path) -> Option<u32> {
    let directory = lookup(mount, path).ok()?;
    rustix::fs::fstat(&directory).ok().map(|it| it.st_uid)
}

impl PinnedCgroup {
    /// Opens the cgroup with this directory, which is on the mount.
    pub fn open(mount: &Mount, path: &Path) -> Result<Self, PinError> {
        let failed = |errno| PinError::failed(path, errno);
        let directory = lookup(mount, path)?;
        let id = rustix::fs::fstat(&directory).map_err(failed)?.st_ino;
        let events = match mount.hierarchy {
            0 => Some(openat(&directory, "cgroup.events", FILE, Mode::empty())),
            _ => None,
        };
        let is_root = match events {
            // Only the root of v2 has `cgroup.procs` and no `cgroup.events`.
            Some(Err(Errno::NOENT)) => is_there(&directory, "cgroup.procs"),
            Some(_) => false,
            // Only the root of a v1 hierarchy has a `release_agent`.
            None => is_there(&directory, "release_agent"),
        };
        if is_root {
            let path = path.to_owned();
            return Err(PinError::Root { path });
        }
        let events = events.transpose().map_err(failed)?.map(File::from);
        Ok(Self {
            id: CgroupId {
                hierarchy: mount.hierarchy,
                id,
            },
            directory,
            path: path.to_owned(),
            below: mount.bytes_of(path),
            mount_point: mount.mount_point.clone(),
            events,
        })
    }

    /// Path below the root of the hierarchy when it was pinned, as `/proc/PID/cgroup` has it.
    /// A v2 cgroup never gets another one.
    #[must_use]
    pub(crate) fn below(&self) -> &[u8] {
        &self.below
    }

    /// Path of the directory when it was pinned.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path below the root of the hierarchy when the cgroup was pinned, as text.
    #[must_use]
    pub fn shown_path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.below)
    }

    /// [`Self::below`] of now: a v1 cgroup can be renamed.
    pub(crate) fn present_path(&self) -> Vec<u8> {
        let before = self.path.strip_prefix(&self.mount_point);
        let before = before.map_or(0, |it| it.as_os_str().len());
        let path = fs::read_link(format!("/proc/self/fd/{}", self.directory.as_raw_fd()));
        let path = path.unwrap_or_default();
        let Ok(now) = path.strip_prefix(&self.mount_point) else {
            return self.below.clone();
        };
        let mut present = self.below[..self.below.len() - before].to_vec();
        present.extend_from_slice(now.as_os_str().as_bytes());
        present
    }

    /// Inode number of the cgroup that has the name of this one now, followed by `suffix`;
    /// `None` if there is none.
    pub(crate) fn namesake(&self, suffix: &str) -> Option<u64> {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        let below = Path::new(&path).strip_prefix(&self.mount_point).ok()?;
        let found = descend(&self.mount_point, below).ok()?;
        rustix::fs::fstat(&found).ok().map(|it| it.st_ino)
    }

    /// State of the cgroup at this moment.
    pub fn state(&self) -> io::Result<CgroupState> {
        let state = match &self.events {
            Some(events) => state_v2(events),
            None => state_v1(self.directory.as_fd()),
        };
        match state {
            Err(error) if !is_gone(&error) => Err(error),
            // The kernel removes the files before the directory:
            // https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L5987
            Err(_) if !is_removed(self.as_fd())? => Ok(CgroupState::Empty),
            Err(_) => Ok(CgroupState::Removed),
            state => state,
        }
    }

    /// `cgroup.events`, which reports `POLLPRI` after a change that was not read yet.
    #[must_use]
    pub fn events(&self) -> Option<&File> {
        self.events.as_ref()
    }

    /// Whether a v1 cgroup of the pids controller charges no task. The count includes zombies and
    /// all descendants, and a task that moves among them is counted all the time. `false` in
    /// other hierarchies.
    pub(crate) fn charges_no_task(&self) -> io::Result<bool> {
        let file = match openat(&self.directory, "pids.current", FILE, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NODEV) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        let mut bytes = [0; 32];
        match file.read_at(&mut bytes, 0) {
            Ok(length) => Ok(bytes[..length].trim_ascii() == b"0"),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Inode numbers of the ancestors that this mount shows, the innermost first; fewer if one
    /// cannot be opened.
    pub(crate) fn ancestors(&self) -> Vec<u64> {
        let device =
            |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).ok().map(|it| (it.st_dev, it.st_ino));
        let mut ancestors = Vec::new();
        let mut last = device(self.as_fd());
        let mut directory = openat(self, "..", DIRECTORY, Mode::empty()).ok();
        while let Some(parent) = directory {
            let found = device(parent.as_fd());
            let (Some((of, _)), Some((on, id))) = (last, found) else {
                break;
            };
            // Above the mount another file system begins.
            if of != on {
                break;
            }
            ancestors.push(id);
            last = found;
            directory = openat(&parent, "..", DIRECTORY, Mode::empty()).ok();
        }
        ancestors
    }

    /// Calls `visit` with id and path of the cgroup and of every descendant, as
    /// [`walk`](super::mounts::walk) does.
    pub fn walk(&self, visit: &mut impl FnMut(CgroupId, String)) -> io::Result<()> {
        let path = self.shown_path();
        visit(self.id, path.clone().into_owned());
        walk_below(self.as_fd(), self.id.hierarchy, &path, visit)
    }

    /// Thread groups in the subtree now; empty if the cgroup is gone.
    pub fn members(&self) -> io::Result<Vec<u32>> {
        Members::of(self.as_fd()).complete()
    }

    /// [`Self::members`], as far as the lists can be read.
    #[must_use]
    pub fn listed(&self) -> Members {
        Members::of(self.as_fd())
    }
}

impl AsFd for PinnedCgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn is_there(directory: &OwnedFd, name: &str) -> bool {
    openat(directory, name, FILE, Mode::empty()).is_ok()
}

/// Whether the error means that the cgroup was removed: ENODEV for an open file, ENOENT for
/// a file in its directory.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NODEV | Errno::NOENT)
    )
}

fn state_v2(events: &File) -> io::Result<CgroupState> {
    let mut bytes = [0; 256];
    let length = events.read_at(&mut bytes, 0)?;
    parse_populated(&bytes[..length])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no populated in cgroup.events"))
}

pub(crate) fn parse_populated(events: &[u8]) -> Option<CgroupState> {
    let mut lines = events.split(|&byte| byte == b'\n');
    match lines.find_map(|line| line.strip_prefix(b"populated "))? {
        b"0" => Some(CgroupState::Empty),
        b"1" => Some(CgroupState::Populated),
        _ => None,
    }
}

fn state_v1(directory: BorrowedFd<'_>) -> io::Result<CgroupState> {
    let mut walk = Walk::of(directory)?;
    let mut is_top = true;
    while let Some(step) = walk.step()? {
        if let Step::Enter = step {
            match has_tasks(walk.directory()) {
                Ok(true) => return Ok(CgroupState::Populated),
                // A descendant that vanishes meanwhile has no tasks.
                Err(error) if is_top || !is_gone(&error) => return Err(error),
                _ => is_top = false,
            }
        }
    }
    Ok(CgroupState::Empty)
}

fn has_tasks(directory: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(!read_pids(directory, "tasks")?.is_empty()
        || !read_pids(directory, "cgroup.procs")?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn populated_is_found_in_any_line() {
        for (events, state) in [
            ("populated 0\nfrozen 0\n", Some(CgroupState::Empty)),
            ("frozen 0\npopulated 1\n", Some(CgroupState::Populated)),
            ("frozen 0\n", None),
            ("populated maybe\n", None),
        ] {
            assert_eq!(parse_populated(events.as_bytes()), state, "{events}");
        }
    }
}
