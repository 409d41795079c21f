//! Opens directories of cgroups without entering another file system.
//!
//! A file system that is mounted over a cgroup hides it, and may belong to a server that never
//! answers. So directories are opened one name at a time, below a directory that is open, and
//! the kernel refuses to cross a mount (`openat2` with `RESOLVE_NO_XDEV`, Linux 5.6).

use std::{
    ffi::OsStr,
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use procfs::process::MountInfos;
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
    path::Arg,
};

use super::{mountinfo, mounts::read_own};

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
pub(super) const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
/// A directory that is only passed through, which takes no right to list it.
const PASSED: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A cgroup is hidden by a file system that is mounted on its directory.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is hidden by a mount{}",
    path.display(),
    by.as_ref().map(|it| format!(" of {it}")).unwrap_or_default()
)]
pub struct Hidden {
    /// The mount point.
    pub path: PathBuf,
    /// Type of the file system that is mounted there, if `mountinfo` names it.
    pub by: Option<String>,
}

/// The mount that hides a cgroup, if that is the reason for an error.
#[must_use]
pub fn hidden(error: &io::Error) -> Option<&Hidden> {
    error.get_ref()?.downcast_ref()
}

/// Why a directory below a mount cannot be opened.
pub(super) struct Blocked {
    /// The directory that cannot be opened: the wanted one, or the first on the way to it.
    pub(super) at: PathBuf,
    pub(super) source: io::Error,
}

/// Opens a directory at a path below a mount point.
pub(super) fn descend(mount_point: &Path, below: &Path) -> Result<OwnedFd, Blocked> {
    let mut at = mount_point.to_owned();
    let open = |parent: BorrowedFd<'_>, name: &OsStr, flags, at: &PathBuf| {
        open_child(parent, name, flags).map_err(|source| Blocked {
            at: at.clone(),
            source,
        })
    };
    let mut directory =
        openat(CWD, mount_point, PASSED, Mode::empty()).map_err(|errno| Blocked {
            at: at.clone(),
            source: errno.into(),
        })?;
    let mut names = below.iter().peekable();
    while let Some(name) = names.next() {
        at.push(name);
        let flags = if names.peek().is_some() {
            PASSED
        } else {
            DIRECTORY
        };
        directory = open(directory.as_fd(), name, flags, &at)?;
    }
    if below.as_os_str().is_empty() {
        return open(directory.as_fd(), OsStr::new("."), DIRECTORY, &at);
    }
    Ok(directory)
}

/// Opens a directory in an open directory; [`Hidden`] if a file system is mounted on it. The
/// name `..` leads to the parent.
pub(super) fn open_child<N: Arg + Copy>(
    parent: BorrowedFd<'_>,
    name: N,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    let rules = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let opened = match openat2(parent, name, flags, Mode::empty(), rules) {
        // Older kernels, and sandboxes that do not know the system call.
        Err(Errno::NOSYS | Errno::PERM) => open_on_one_mount(parent, name, flags),
        opened => opened.map_err(io::Error::from),
    };
    opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::XDEV) => io::Error::other(describe(parent, &name)),
        _ => error,
    })
}

/// [`open_child`] without `openat2`. To open a mounted directory by `O_PATH` does not ask its
/// file system.
fn open_on_one_mount<N: Arg + Copy>(
    parent: BorrowedFd<'_>,
    name: N,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    let found = openat(parent, name, PASSED, Mode::empty())?;
    if mount_id(found.as_fd())? != mount_id(parent)? {
        return Err(Errno::XDEV.into());
    }
    if flags == PASSED {
        return Ok(found);
    }
    Ok(openat(&found, ".", flags, Mode::empty())?)
}

fn mount_id(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let mut lines = info.lines();
    let id = lines.find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    id.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn describe(parent: BorrowedFd<'_>, name: &impl Arg) -> Hidden {
    let parent = fs::read_link(format!("/proc/self/fd/{}", parent.as_raw_fd()));
    let mut path = parent.unwrap_or_default();
    match name.to_string_lossy().as_ref() {
        ".." => _ = path.pop(),
        name => path.push(name),
    }
    let infos = read_own::<MountInfos>("mountinfo");
    let by = infos
        .ok()
        .and_then(|infos| Some(mountinfo::of_path(&infos.0, &path)?.fs_type.clone()));
    Hidden { path, by }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_openat2_a_mount_is_not_entered() {
        let root = openat(CWD, "/", PASSED, Mode::empty()).expect("the root directory");
        let error = open_on_one_mount(root.as_fd(), "proc", DIRECTORY).expect_err("a mount");
        assert_eq!(Errno::from_io_error(&error), Some(Errno::XDEV));
        let proc = openat(CWD, "/proc", PASSED, Mode::empty()).expect("/proc is mounted");
        let own = open_on_one_mount(proc.as_fd(), "self", DIRECTORY);
        assert!(own.is_err(), "a symbolic link is not followed");
        let fd = open_on_one_mount(proc.as_fd(), "1", DIRECTORY).expect("pid 1");
        open_on_one_mount(fd.as_fd(), "..", DIRECTORY).expect("the parent is on the same mount");
    }

    #[test]
    fn a_mount_that_hides_a_directory_is_named() {
        let root = openat(CWD, "/", PASSED, Mode::empty()).expect("the root directory");
        let error = open_child(root.as_fd(), "proc", DIRECTORY).expect_err("a mount");
        let hidden = hidden(&error).expect("the mount is the reason");
        assert_eq!(hidden.path, Path::new("/proc"));
        assert_eq!(hidden.by.as_deref(), Some("proc"));
    }

    #[test]
    fn the_first_missing_directory_is_named() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir(top.path().join("a")).expect("a directory");
        for (below, at) in [("a/b/c", "a/b"), ("x/y", "x")] {
            let blocked = descend(top.path(), Path::new(below)).expect_err(below);
            assert_eq!(blocked.at, top.path().join(at));
            assert_eq!(blocked.source.kind(), io::ErrorKind::NotFound);
        }
        for below in ["", "a"] {
            assert!(descend(top.path(), Path::new(below)).is_ok(), "{below}");
        }
    }
}
