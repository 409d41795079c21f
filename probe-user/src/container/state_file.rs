//! Reading what others left on disk, whoever they are: only regular files, only
//! of a bearable size, no symbolic link at the end, never blocking on a FIFO.
//! What is not there is silently `None`; what is there but no good is `None`
//! and a debug message without its content.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io::Read,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};
use serde::de::DeserializeOwned;

/// More than any runtime writes about a container.
const MOST_BYTES: u64 = 4 << 20;

/// A file that was read in full.
#[derive(Debug)]
pub(super) struct StateFile {
    bytes: Vec<u8>,
    /// Who wrote it: the owner of the file, or of its directory if that is not
    /// root and so could have put any file there.
    pub(super) owner: u32,
    name: String,
}

/// Tells one content of a file from another without reading it.
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
        let directory_owner = File::from(directory.try_clone()?).metadata()?.uid();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(openat(
            &directory,
            Path::new(name),
            flags | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            tracing::debug!(
                path,
                size = metadata.len(),
                "not read: no regular file, or too large"
            );
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(Some(StateFile {
            bytes,
            owner: writer(directory_owner, metadata.uid()),
            name: path.clone(),
        }))
    };
    match read() {
        Ok(file) => file,
        Err(error) if is_absence(&error) => None,
        Err(error) => {
            tracing::debug!(path, %error, "not readable");
            None
        }
    }
}

fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

fn is_absence(error: &std::io::Error) -> bool {
    let absent = [Errno::NOENT, Errno::NOTDIR];
    Errno::from_io_error(error).is_some_and(|error| absent.contains(&error))
}

const fn writer(directory_owner: u32, file_owner: u32) -> u32 {
    if directory_owner == 0 {
        file_owner
    } else {
        directory_owner
    }
}

/// What a file looks like from outside; `None` if it is not there.
pub(super) fn version(path: &Path) -> Option<Version> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some(Version::of(&metadata))
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
    /// Its content as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.bytes)
            .inspect_err(|error| {
                // The message may quote the file, which may be anybody's.
                let (line, column) = (error.line(), error.column());
                let kind = error.classify();
                tracing::debug!(path = self.name, ?kind, line, column, "not understood");
            })
            .ok()
    }

    /// Its content as text.
    pub(super) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}
