//! Walks a cgroup and its descendants.
//!
//! The walk holds one directory open, whatever the depth of the tree: it keeps the names in
//! memory and goes up by `..`. Names are bytes, and a path may be longer than `PATH_MAX`. No
//! other file system is entered; see [`super::open`].

use std::{
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, RawDir, fstat},
    io::Errno,
};

use super::{
    open::{DIRECTORY, open_child},
    pinned::is_gone,
};

/// What a walk does next.
#[derive(Debug)]
pub(super) enum Step {
    /// It has entered the cgroup that [`Walk::directory`] returns.
    Enter,
    /// It has visited all descendants of the child with this name, and is back in its parent.
    Leave(CString),
}

/// A walk of a subtree, each cgroup before its children. A descendant that vanishes meanwhile
/// is skipped. After an error the walk goes on behind the cgroup that caused it.
#[derive(Debug)]
pub(super) struct Walk {
    /// The first level is the top, the last one is the current cgroup.
    levels: Vec<Level>,
    directory: OwnedFd,
    top: OwnedFd,
    path: Vec<u8>,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    NotStarted,
    /// The children of the current cgroup have not been listed.
    Entered,
    Listed,
}

#[derive(Debug)]
struct Level {
    name: CString,
    id: u64,
    has_children: bool,
    /// Children that were not visited yet, in reverse order.
    children: Vec<CString>,
}

impl Walk {
    /// A walk of an open cgroup and its descendants.
    pub(super) fn of(top: BorrowedFd<'_>) -> io::Result<Self> {
        let directory = open_child(top, c".", DIRECTORY)?;
        Ok(Self {
            levels: vec![Level::new(c"", directory.as_fd())?],
            directory,
            top: top.try_clone_to_owned()?,
            path: Vec::new(),
            progress: Progress::NotStarted,
        })
    }

    /// The open directory of the current cgroup.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Inode number of the current cgroup.
    pub(super) fn id(&self) -> u64 {
        self.levels.last().map_or(0, |it| it.id)
    }

    /// Path of the current cgroup below the top: empty, or `/a/b`.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Takes one step; `None` at the end.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        if self.progress == Progress::NotStarted {
            self.progress = Progress::Entered;
            return Ok(Some(Step::Enter));
        }
        if self.progress == Progress::Entered {
            self.progress = Progress::Listed;
            if self.levels.last().is_some_and(|it| it.has_children) {
                let children = children(self.directory())?;
                if let Some(level) = self.levels.last_mut() {
                    level.children = children;
                }
            }
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.children.pop() else {
                return self.leave();
            };
            match self.enter(&name) {
                Err(error) if is_gone(&error) => {}
                entered => return entered.map(|()| Some(Step::Enter)),
            }
        }
        Ok(None)
    }

    fn enter(&mut self, name: &CStr) -> io::Result<()> {
        let child = open_child(self.directory(), name, DIRECTORY)?;
        self.levels.push(Level::new(name, child.as_fd())?);
        self.directory = child;
        self.path.push(b'/');
        self.path.extend_from_slice(name.to_bytes());
        self.progress = Progress::Entered;
        Ok(())
    }

    fn leave(&mut self) -> io::Result<Option<Step>> {
        let Some(left) = self.levels.pop().filter(|_| !self.levels.is_empty()) else {
            return Ok(None);
        };
        let parent = self.parent().inspect_err(|_| self.levels.clear());
        self.directory = parent?;
        let length = self.path.len() - left.name.to_bytes().len() - 1;
        self.path.truncate(length);
        Ok(Some(Step::Leave(left.name)))
    }

    /// Opens the cgroup of the last level, which is the parent of the one that was left.
    fn parent(&self) -> io::Result<OwnedFd> {
        if self.levels.len() == 1 {
            return open_child(self.top.as_fd(), c".", DIRECTORY);
        }
        let parent = open_child(self.directory(), c"..", DIRECTORY)?;
        if fstat(&parent)?.st_ino != self.id() {
            return Err(Errno::STALE.into());
        }
        Ok(parent)
    }
}

impl Level {
    fn new(name: &CStr, directory: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fstat(directory)?;
        Ok(Self {
            name: name.to_owned(),
            id: stat.st_ino,
            // A cgroup has a link for itself, one in its parent, and one in each child.
            has_children: stat.st_nlink != 2,
            children: Vec::new(),
        })
    }
}

/// Names of the directories in a directory, in reverse order.
fn children(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    entries(directory, &mut |name, kind, _| {
        if kind == FileType::Directory {
            names.push(name.to_owned());
        }
        true
    })?;
    names.reverse();
    Ok(names)
}

/// Calls `visit` with the name, type and inode number of each entry until a call returns
/// `false`. A directory that was removed has no entries. The number is that of the entry
/// itself, even if a file system is mounted on it.
pub(super) fn entries(
    directory: BorrowedFd<'_>,
    visit: &mut impl FnMut(&CStr, FileType, u64) -> bool,
) -> io::Result<()> {
    const BYTES: usize = 8192;
    let directory = open_child(directory, c".", DIRECTORY)?;
    let mut buffer = [MaybeUninit::uninit(); BYTES];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::NOENT) => return Ok(()),
            entry => entry?,
        };
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") && !visit(name, entry.file_type(), entry.ino())
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a directory was removed: `.` is listed in every other one.
pub(super) fn is_removed(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let opened = match open_child(directory, c".", DIRECTORY) {
        Err(error) if is_gone(&error) => return Ok(true),
        opened => opened?,
    };
    let mut buffer = [MaybeUninit::uninit(); 1024];
    match RawDir::new(&opened, &mut buffer).next() {
        Some(Err(Errno::NOENT)) => Ok(true),
        Some(Err(errno)) => Err(errno.into()),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd};

    use rustix::fs::{CWD, Mode, mkdirat, openat};

    use super::*;

    fn open(path: &std::path::Path) -> OwnedFd {
        openat(CWD, path, DIRECTORY, Mode::empty()).expect("the directory exists")
    }

    fn visited(top: &OwnedFd) -> Vec<String> {
        let mut walk = Walk::of(top.as_fd()).expect("the directory exists");
        let mut steps = Vec::new();
        while let Some(step) = walk.step().expect("no error") {
            let path = String::from_utf8_lossy(walk.path()).into_owned();
            steps.push(match step {
                Step::Enter => format!("+{path}"),
                Step::Leave(name) => format!("-{path} {}", name.to_string_lossy()),
            });
        }
        steps
    }

    #[test]
    fn each_directory_is_entered_before_and_left_after_its_children() {
        let top = tempfile::tempdir().expect("a directory");
        for path in ["a/b", "a/c"] {
            fs::create_dir_all(top.path().join(path)).expect("a directory");
        }
        fs::write(top.path().join("file"), "").expect("a file");
        let mut steps = visited(&open(top.path()));
        assert_eq!(
            (steps.remove(0).as_str(), steps.remove(0).as_str()),
            ("+", "+/a")
        );
        assert_eq!(steps.pop().as_deref(), Some("- a"));
        steps.sort();
        assert_eq!(steps, ["+/a/b", "+/a/c", "-/a b", "-/a c"]);
    }

    #[test]
    fn a_tree_that_is_deeper_than_the_limits_of_paths_and_descriptors_is_walked() {
        const DEPTH: usize = 1500;
        let top = tempfile::tempdir().expect("a directory");
        let mut directory = open(top.path());
        for _ in 0..DEPTH {
            mkdirat(&directory, "abcd", Mode::RWXU).expect("a directory");
            directory = open_child(directory.as_fd(), "abcd", DIRECTORY).expect("it exists");
        }
        let steps = visited(&open(top.path()));
        assert_eq!(steps.len(), 1 + 2 * DEPTH);
        // `remove_dir_all` needs a descriptor for each level.
        let mut walk = Walk::of(open(top.path()).as_fd()).expect("the directory exists");
        while let Some(step) = walk.step().expect("no error") {
            if let Step::Leave(name) = step {
                let removed =
                    rustix::fs::unlinkat(walk.directory(), &name, rustix::fs::AtFlags::REMOVEDIR);
                removed.expect("the directory is empty");
            }
        }
    }

    #[test]
    fn a_removed_directory_is_known_by_its_descriptor() {
        let top = tempfile::tempdir().expect("a directory");
        let path = top.path().join("a");
        fs::create_dir(&path).expect("a directory");
        let directory = open(&path);
        assert!(!is_removed(directory.as_fd()).expect("readable"));
        fs::rename(&path, top.path().join("b")).expect("it exists");
        assert!(!is_removed(directory.as_fd()).expect("readable"));
        fs::remove_dir(top.path().join("b")).expect("it is empty");
        assert!(is_removed(directory.as_fd()).expect("readable"));
    }
}
