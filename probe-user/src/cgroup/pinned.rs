//! Pins a cgroup by its open directory, reads its state, and provides a file that reports
//! changes of that state.
//!
//! On v2 `populated` of `cgroup.events` is the truth. Polling that file is only a hint: the
//! kernel notifies up to 16 ms late if another change came shortly before, and not at all
//! if the cgroup is removed meanwhile. On v1 there is no such file. A v1 cgroup is empty if
//! `tasks` and `cgroup.procs` of the whole subtree are empty. Both are opened for each read,
//! because v1 caches the list for an open file.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, open, openat},
    io::Errno,
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
    /// `cgroup.events`; v2 only.
    events: Option<File>,
}

/// Why a cgroup cannot be waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PinError {
    /// The directory cannot be opened; with `ENOENT` it may be gone already.
    #[error("cannot open cgroup {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A root cgroup never becomes empty.
    #[error("{} is the root of its hierarchy and never becomes empty", path.display())]
    Root { path: PathBuf },
}

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
pub(super) const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

impl PinnedCgroup {
    /// Opens a directory of a cgroup mount.
    pub fn open(hierarchy: u32, path: &Path) -> Result<Self, PinError> {
        let failed = |errno: Errno| PinError::Open {
            path: path.to_owned(),
            source: errno.into(),
        };
        let directory = open(path, DIRECTORY, Mode::empty()).map_err(failed)?;
        let id = rustix::fs::fstat(&directory).map_err(failed)?.st_ino;
        let events = match hierarchy {
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
            id: CgroupId { hierarchy, id },
            directory,
            path: path.to_owned(),
            events,
        })
    }

    /// Path of the directory when it was pinned.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
            Err(_) if self.is_at_its_path() => Ok(CgroupState::Empty),
            Err(_) => Ok(CgroupState::Removed),
            state => state,
        }
    }

    fn is_at_its_path(&self) -> bool {
        rustix::fs::stat(&self.path).is_ok_and(|found| found.st_ino == self.id.id)
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
        let length = file.read_at(&mut bytes, 0)?;
        Ok(bytes[..length].trim_ascii() == b"0")
    }

    /// Thread groups in the subtree now; empty if the cgroup is gone.
    pub fn members(&self) -> io::Result<Vec<u32>> {
        members(self.directory.as_fd())
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
    let all_empty = visit_subtree(directory, &mut |directory| {
        Ok(read_pids(directory, "tasks")?.is_empty()
            && read_pids(directory, "cgroup.procs")?.is_empty())
    })?;
    Ok(if all_empty {
        CgroupState::Empty
    } else {
        CgroupState::Populated
    })
}

/// Thread groups in the subtree of a cgroup; empty if the cgroup is gone.
pub(super) fn members(directory: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut members = Vec::new();
    let visited = visit_subtree(directory, &mut |directory| {
        members.extend(read_pids(directory, "cgroup.procs")?);
        Ok(true)
    });
    match visited {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(members),
    }
}

/// Calls `visit` for a directory and all its descendants until a call returns `false`, and
/// returns whether all returned `true`. A descendant that vanishes meanwhile is skipped.
pub(super) fn visit_subtree(
    directory: BorrowedFd<'_>,
    visit: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<bool>,
) -> io::Result<bool> {
    if !visit(directory)? {
        return Ok(false);
    }
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let is_child = entry.file_type() == FileType::Directory
            && !matches!(entry.file_name().to_bytes(), b"." | b"..");
        if !is_child {
            continue;
        }
        let visited = openat(directory, entry.file_name(), DIRECTORY, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|child| visit_subtree(child.as_fd(), visit));
        match visited {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn read_pids(directory: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u32>> {
    let file = File::from(openat(directory, name, FILE, Mode::empty())?);
    // A threaded cgroup does not list processes; they are listed in its domain cgroup,
    // which is an ancestor.
    match io::read_to_string(file) {
        Ok(text) => Ok(text.lines().filter_map(|pid| pid.parse().ok()).collect()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
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
