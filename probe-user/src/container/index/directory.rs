//! One state directory: what is in it, what was, what is still being written.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    entry::{Entry, Known, Seen},
    is_due,
};
use crate::container::{record::Record, state_file::Version};

/// More containers than one root of a runtime holds; what a hostile user's
/// directory may cost.
const MOST_ENTRIES: usize = 4096;
/// Of entries that wait for their state, so many are tried at each check that
/// nobody waits for.
const MOST_AWAITED: usize = 64;
/// Least time between two readings of one directory: one that root's runtimes
/// keep, and one that belongs to a user and may change as fast as that user
/// likes.
const READ_INTERVAL: Duration = Duration::from_millis(25);
const USERS_READ_INTERVAL: Duration = Duration::from_millis(500);
/// What is gone is remembered: records of exits come after the fact, and
/// `runc run` removes the state at once.
const REMEMBER_FOR: Duration = Duration::from_secs(10);
/// File systems stamp with the time of the last tick. A directory that was
/// changed this close to being read may have changed again unnoticed.
const STAMP_GRAIN: Duration = Duration::from_millis(100);

/// A state directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: HashMap<String, Seen>,
    /// Whether changes are told to [`Directory::made`] and
    /// [`Directory::changed`].
    pub(super) is_watched: bool,
    is_changed: bool,
    is_trusted: bool,
    looked: Option<Instant>,
    /// Modification time at the last reading, if nothing can have changed since
    /// without changing it.
    settled: Option<SystemTime>,
}

impl Directory {
    /// From now on changes are told; what was before is still to be read.
    pub(super) fn watched(&mut self, path: &Path) {
        self.is_watched = true;
        self.is_trusted = is_trusted(path);
        self.looked = None;
    }

    /// Something in it changed.
    pub(super) const fn changed(&mut self) {
        self.is_changed = true;
    }

    /// An entry was made, and may be gone by now; whether it is noted.
    pub(super) fn made(&mut self, name: String, now: Instant) -> bool {
        self.changed();
        let is_wanted = self.is_trusted && is_name(&name) && self.entries.len() < MOST_ENTRIES;
        if is_wanted {
            self.entries.insert(name, Seen::awaited(None, now, true));
        }
        is_wanted
    }

    /// Looks for changes; whether there were any. `is_urgent` looks at once.
    pub(super) fn check(
        &mut self,
        path: &Path,
        now: Instant,
        is_urgent: bool,
        mut load: impl FnMut(&str) -> Entry,
    ) -> bool {
        let interval = if self.is_trusted {
            READ_INTERVAL
        } else {
            USERS_READ_INTERVAL
        };
        if !is_urgent && !is_due(self.looked, interval, now) {
            return false;
        }
        let mut is_changed = false;
        if self.is_changed || is_urgent || !self.is_watched {
            self.looked = Some(now);
            is_changed |= self.read(path, now);
        }
        let most = if is_urgent {
            MOST_ENTRIES
        } else {
            MOST_AWAITED
        };
        let entries = self.entries.iter_mut();
        let awaited = entries.filter(|(_, seen)| seen.is_to_be_read()).take(most);
        for (name, seen) in awaited {
            self.looked = Some(now);
            is_changed |= seen.read(load(name), now);
        }
        is_changed | self.forget(now)
    }

    /// Reads the directory if it changed; whether entries came or went.
    fn read(&mut self, path: &Path, now: Instant) -> bool {
        let modified = fs::metadata(path).and_then(|it| it.modified()).ok();
        if !self.is_changed && modified.is_some() && modified == self.settled {
            return false;
        }
        let started = SystemTime::now();
        self.is_changed = false;
        self.is_trusted = is_trusted(path);
        self.settled = modified.filter(|&modified| {
            started
                .duration_since(modified)
                .is_ok_and(|age| age > STAMP_GRAIN)
        });
        let names = names(path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!(path = %path.display(), %error, "not readable");
            }
            Vec::new()
        });
        let mut is_changed = self.mark_gone(&names, now);
        for name in names {
            is_changed |= self.enter(path, name, now);
        }
        is_changed
    }

    fn mark_gone(&mut self, names: &[String], now: Instant) -> bool {
        let names: std::collections::HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut is_changed = false;
        for (name, seen) in &mut self.entries {
            if seen.gone.is_none() && !names.contains(name.as_str()) {
                seen.gone = Some(now);
                is_changed = true;
            }
        }
        is_changed
    }

    fn enter(&mut self, path: &Path, name: String, now: Instant) -> bool {
        // One that vanished meanwhile is found gone the next time.
        let Ok(metadata) = fs::symlink_metadata(path.join(&name)) else {
            return false;
        };
        let version = Version::of(&metadata);
        let is_full = self.entries.len() >= MOST_ENTRIES;
        match self.entries.get_mut(&name) {
            Some(seen) if seen.gone.is_none() => {
                seen.is_read &= seen.version == Some(version);
                seen.version = Some(version);
                false
            }
            None if is_full => false,
            _ => {
                let is_trusted = self.is_trusted && is_own(&metadata);
                let seen = Seen::awaited(Some(version), now, is_trusted);
                self.entries.insert(name, seen);
                true
            }
        }
    }

    fn forget(&mut self, now: Instant) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, seen| {
            seen.gone
                .is_none_or(|gone| !is_due(Some(gone), REMEMBER_FOR, now))
        });
        self.entries.len() != before
    }

    /// Names of entries whose state is still to come, or never came.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(_, seen)| seen.is_trusted && matches!(seen.entry, Entry::Awaited))
            .map(|(name, _)| name.as_str())
    }

    /// What is there, or what was there a moment ago.
    pub(super) fn known(&self, is_gone: bool) -> impl Iterator<Item = &Known> {
        let is_wanted = move |seen: &&Seen| seen.gone.is_some() == is_gone;
        let seen = self.entries.values().filter(is_wanted);
        seen.filter_map(|seen| match &seen.entry {
            Entry::Known(known) => Some(known),
            Entry::Awaited => None,
        })
    }

    /// Containers that are there.
    pub(super) fn present(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.known(false).filter_map(|known| match known {
            Known::Container(record) => Some(record),
            Known::VirtualMachine(_) | Known::Nothing => None,
        })
    }
}

/// Hidden entries are the runtimes' own business.
fn is_name(name: &str) -> bool {
    !name.starts_with('.')
}

/// Names of the entries that are no links.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(path)?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_name(name))
        .take(MOST_ENTRIES);
    Ok(names.collect())
}

/// Whether nobody else could have made what is in a directory.
pub(super) fn is_trusted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| is_own(&it))
}

fn is_own(metadata: &Metadata) -> bool {
    let own = rustix::process::geteuid().as_raw();
    metadata.uid() == 0 || metadata.uid() == own
}
