//! Told of changes in state directories, by inotify: what came and went between
//! two looks is not missed. Where it cannot be had, modification times must do.

use std::{collections::HashMap, mem::MaybeUninit, os::fd::OwnedFd, path::PathBuf};

use rustix::fs::inotify::{
    CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch,
};

/// A lot of names; the rest is there at the next look.
const BUFFER_BYTES: usize = 16 * 1024;

/// The watched directories.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<OwnedFd>,
    paths: HashMap<i32, PathBuf>,
}

/// What happened in a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A directory of this name was made.
    Made(String),
    /// Something else.
    Other,
    /// It is not watched any more.
    Unwatched,
}

impl Watch {
    pub(super) fn new() -> Self {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .inspect_err(|error| tracing::debug!(%error, "no inotify"))
            .ok();
        Self {
            inotify,
            paths: HashMap::new(),
        }
    }

    /// Watches nothing: modification times must do.
    pub(super) fn none() -> Self {
        Self {
            inotify: None,
            paths: HashMap::new(),
        }
    }

    /// Watches a directory; whether it could be.
    pub(super) fn add(&mut self, path: &PathBuf) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        match add_watch(
            inotify,
            path,
            changes | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW,
        ) {
            Ok(descriptor) => {
                self.paths.insert(descriptor, path.clone());
                true
            }
            Err(error) => {
                tracing::trace!(path = %path.display(), %error, "not watched");
                false
            }
        }
    }

    /// What happened since the last call, as far as one buffer holds it. An
    /// overflow of the queue is a change of every directory.
    pub(super) fn changes(&mut self) -> Vec<(PathBuf, Change)> {
        let mut changes = Vec::new();
        let Some(inotify) = &self.inotify else {
            return changes;
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut left = Vec::new();
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.extend(self.paths.values().map(|it| (it.clone(), Change::Other)));
            }
            let Some(path) = self.paths.get(&event.wd()) else {
                continue;
            };
            let is_made = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            let name = event.file_name().and_then(|name| name.to_str().ok());
            let change = match name {
                _ if flags.intersects(ReadFlags::MOVE_SELF | ReadFlags::IGNORED) => {
                    left.push(event.wd());
                    Change::Unwatched
                }
                Some(name) if is_made && flags.contains(ReadFlags::ISDIR) => {
                    Change::Made(name.to_owned())
                }
                _ => Change::Other,
            };
            changes.push((path.clone(), change));
            if reader.is_buffer_empty() {
                break;
            }
        }
        for descriptor in left {
            self.paths.remove(&descriptor);
            // Moved away it would be watched on; gone it is not any more.
            let _gone = remove_watch(inotify, descriptor);
        }
        changes
    }
}
