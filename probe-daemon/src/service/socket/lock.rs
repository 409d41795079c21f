//! The lock file `PATH.lock`. A daemon holds the lock from before it creates the socket
//! until it has removed the socket.
//!
//! Only the daemon's own user can open the file. Otherwise another user could hold the
//! lock and prevent the daemon from starting.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::SocketError;
use crate::service::accounts::Account;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock for the path of a socket.
    pub(super) fn take(socket: &Path, account: Option<&Account>) -> Result<Self, SocketError> {
        let mut path = OsString::from(socket);
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            let file = open(&path).map_err(|source| SocketError::Directory {
                directory: socket.parent().unwrap_or(socket).to_owned(),
                source,
            })?;
            let failed = |source| SocketError::Stale {
                path: path.clone(),
                source,
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN) => {
                    return Err(SocketError::InUse {
                        path: socket.to_owned(),
                        pid: None,
                    });
                }
                Err(errno) => return Err(failed(errno.into())),
            }
            if let Some(account) = account {
                fchown(&file, Some(account.uid), None).map_err(failed)?;
            }
            let lock = Self {
                path: path.clone(),
                file,
            };
            // The previous holder may have removed the file after `open`.
            if lock.is_in_place() {
                return Ok(lock);
            }
        }
    }

    fn is_in_place(&self) -> bool {
        let identity = |it: io::Result<fs::Metadata>| it.ok().map(|it| (it.dev(), it.ino()));
        let ours = identity(self.file.metadata());
        ours.is_some() && identity(fs::symlink_metadata(&self.path)) == ours
    }
}

impl Drop for Lock {
    /// Removes the file while the lock is held, so that no other process holds a lock on a
    /// file that has lost its path.
    fn drop(&mut self) {
        if self.is_in_place() {
            // If the removal fails, the next daemon uses the file again.
            let _remains = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}
