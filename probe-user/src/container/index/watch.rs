//! Watches state directories with inotify, so that an entry that exists only between two
//! reads is not missed. Without inotify the modification times of directories are used.

use std::{collections::HashMap, mem::MaybeUninit, os::fd::OwnedFd, path::PathBuf};

use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};

/// Space for the events of one read; the next read returns the rest.
const BUFFER_BYTES: usize = 16 * 1024;

/// The watched directories. The default watches none, so that modification times are used.
#[derive(Debug, Default)]
pub(super) struct Watch {
    inotify: Option<OwnedFd>,
    paths: HashMap<i32, PathBuf>,
}

/// A change of a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A directory with this name was created in it.
    Created(String),
    Other,
    /// The directory is not watched any more.
    Unwatched,
}

impl Watch {
    pub(super) fn new() -> Self {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .inspect_err(|error| tracing::debug!(%error, "cannot use inotify"))
            .ok();
        Self {
            inotify,
            ..Self::default()
        }
    }

    /// Watches a directory; returns whether that succeeded.
    pub(super) fn add(&mut self, path: &PathBuf) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        let entries = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        let directory = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let flags = WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        add_watch(inotify, path, entries | directory | flags)
            .map(|descriptor| self.paths.insert(descriptor, path.clone()))
            .inspect_err(|error| tracing::trace!(?path, %error, "cannot watch the directory"))
            .is_ok()
    }

    /// The changes since the last call, as many as one buffer holds. An overflow of the
    /// queue counts as a change of every directory.
    pub(super) fn changes(&mut self) -> Vec<(PathBuf, Change)> {
        let mut changes = Vec::new();
        let Some(inotify) = &self.inotify else {
            return changes;
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut ended = Vec::new();
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.extend(self.paths.values().map(|it| (it.clone(), Change::Other)));
            }
            let Some(path) = self.paths.get(&event.wd()) else {
                continue;
            };
            let is_created = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            let name = event.file_name().and_then(|name| name.to_str().ok());
            let change = match name {
                _ if flags.intersects(ReadFlags::MOVE_SELF | ReadFlags::IGNORED) => {
                    ended.push(event.wd());
                    Change::Unwatched
                }
                Some(name) if is_created && flags.contains(ReadFlags::ISDIR) => {
                    Change::Created(name.to_owned())
                }
                _ => Change::Other,
            };
            changes.push((path.clone(), change));
            if reader.is_buffer_empty() {
                break;
            }
        }
        for descriptor in ended {
            self.paths.remove(&descriptor);
            // The kernel keeps the watch of a directory that was moved. It has removed that
            // of a deleted directory, so this call fails then.
            let _removed = remove_watch(inotify, descriptor);
        }
        changes
    }
}
