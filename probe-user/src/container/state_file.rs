//! Reads files that any user may have written: only regular files of a limited size, never
//! through a symbolic link as the last component, and never blocking on a FIFO.
//!
//! A missing file is `None`. An unreadable or malformed file is `None`, too, with a debug
//! message that does not contain its content.

use std::{
    ffi::OsStr,
    fs::{self, DirEntry, File, Metadata},
    io::Read,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, fstat, openat},
    io::Errno,
};
use serde::de::DeserializeOwned;

/// Largest file that is read; well above what any runtime writes about a container.
const MAX_BYTES: u64 = 4 << 20;

/// The content of a state file, and its writer.
#[derive(Debug)]
pub(super) struct StateFile {
    bytes: Vec<u8>,
    /// Uid of the user that could have written it: the owner of the directory, who may put
    /// any file there, or the owner of the file if the directory is root's.
    pub(super) owner: u32,
    name: String,
}

/// Changes whenever the content of a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Reads `DIRECTORY/NAME`.
pub(super) fn read_in(directory: &Path, name: impl AsRef<OsStr>) -> Option<StateFile> {
    let name = name.as_ref();
    let path = directory.join(name).display().to_string();
    let read = || -> std::io::Result<Option<StateFile>> {
        let directory = open_directory(directory)?;
        let directory_owner = fstat(&directory)?.st_uid;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(openat(
            &directory,
            Path::new(name),
            flags | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            tracing::debug!(
                path,
                size = metadata.len(),
                "ignoring the state file: not a regular file, or too large"
            );
            return Ok(None);
        }
        let size = usize::try_from(metadata.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(size + 1);
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(Some(StateFile {
            bytes,
            owner: match directory_owner {
                0 => metadata.uid(),
                owner => owner,
            },
            name: path.clone(),
        }))
    };
    read().unwrap_or_else(|error| {
        let errno = Errno::from_io_error(&error);
        if !matches!(errno, Some(Errno::NOENT | Errno::NOTDIR)) {
            tracing::debug!(path, %error, "cannot read the state file");
        }
        None
    })
}

/// The entries of a directory; none if it cannot be read.
pub(super) fn entries(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

/// The version of a file; `None` if the file does not exist.
pub(super) fn version(path: &Path) -> Option<Version> {
    fs::symlink_metadata(path).ok().as_ref().map(Version::of)
}

impl Version {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl StateFile {
    /// The content as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.bytes)
            .inspect_err(|error| {
                // The message of the error may quote the file, which any user may have written.
                let (line, column) = (error.line(), error.column());
                let kind = error.classify();
                tracing::debug!(
                    path = self.name,
                    ?kind,
                    line,
                    column,
                    "cannot parse the state file"
                );
            })
            .ok()
    }

    /// The content as text.
    pub(super) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}
