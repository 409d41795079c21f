//! A state directory of a runtime, and the entries that are or were in it.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    entry::{Entry, Known, TrackedEntry},
    is_due,
};
use crate::container::{record::Record, state_file::Version};

/// Most entries of one directory. No root of a runtime has so many containers; the limit
/// bounds the cost of a malicious user's directory.
const MAX_ENTRIES: usize = 4096;
/// How many entries without a state a check reads again at most, unless the check is urgent.
const MAX_PENDING: usize = 64;
/// Shortest time between two reads of a directory that root's runtimes write.
const READ_INTERVAL: Duration = Duration::from_millis(25);
/// Shortest time between two reads of a user's directory. It is longer than
/// [`READ_INTERVAL`], because a user may change the directory as often as they like.
const USERS_READ_INTERVAL: Duration = Duration::from_millis(500);
/// How long an entry is remembered after its removal: exit records arrive late, and
/// `runc run` removes the state at once.
const REMEMBER_FOR: Duration = Duration::from_secs(10);
/// Precision of modification times, which file systems take from the last timer tick. A
/// directory that was read this soon after a change may have changed again unnoticed.
const MTIME_PRECISION: Duration = Duration::from_millis(100);

/// A state directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: HashMap<String, TrackedEntry>,
    /// Whether inotify events call [`Directory::add_created`] and
    /// [`Directory::mark_changed`].
    pub(super) is_watched: bool,
    is_changed: bool,
    is_trusted: bool,
    last_read: Option<Instant>,
    /// Modification time at the last read, if every later change also changes it.
    settled_mtime: Option<SystemTime>,
}

impl Directory {
    /// Notes that inotify reports changes from now on. Existing entries are read at the next
    /// check.
    pub(super) fn mark_watched(&mut self, path: &Path) {
        self.is_watched = true;
        self.is_trusted = is_trusted(path);
        self.last_read = None;
    }

    /// Notes that the directory changed.
    pub(super) const fn mark_changed(&mut self) {
        self.is_changed = true;
    }

    /// Adds an entry that was created and may be gone already. Returns whether it was added.
    pub(super) fn add_created(&mut self, name: String, now: Instant) -> bool {
        self.mark_changed();
        let is_wanted = self.is_trusted && is_name(&name) && self.entries.len() < MAX_ENTRIES;
        if is_wanted {
            self.entries
                .insert(name, TrackedEntry::pending(None, now, true));
        }
        is_wanted
    }

    /// Reads what has changed; returns whether anything has. With `is_urgent` it reads the
    /// directory even if it was read a moment ago.
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
        if !is_urgent && !is_due(self.last_read, interval, now) {
            return false;
        }
        let mut is_changed = false;
        if self.is_changed || is_urgent || !self.is_watched {
            self.last_read = Some(now);
            is_changed |= self.read(path, now);
        }
        let max = if is_urgent { MAX_ENTRIES } else { MAX_PENDING };
        let entries = self.entries.iter_mut();
        let unread = entries.filter(|(_, tracked)| tracked.is_unread()).take(max);
        for (name, tracked) in unread {
            self.last_read = Some(now);
            is_changed |= tracked.update(load(name), now);
        }
        is_changed | self.forget(now)
    }

    /// Reads the directory if it changed; returns whether entries were added or removed.
    fn read(&mut self, path: &Path, now: Instant) -> bool {
        let modified = fs::metadata(path).and_then(|it| it.modified()).ok();
        if !self.is_changed && modified.is_some() && modified == self.settled_mtime {
            return false;
        }
        let started = SystemTime::now();
        self.is_changed = false;
        self.is_trusted = is_trusted(path);
        self.settled_mtime = modified.filter(|&modified| {
            started
                .duration_since(modified)
                .is_ok_and(|age| age > MTIME_PRECISION)
        });
        let names = names(path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!(path = %path.display(), %error, "cannot read the state directory");
            }
            Vec::new()
        });
        let mut is_changed = self.mark_gone(&names, now);
        for name in names {
            is_changed |= self.add_or_update(path, name, now);
        }
        is_changed
    }

    fn mark_gone(&mut self, names: &[String], now: Instant) -> bool {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let entries = self.entries.iter_mut();
        let gone = entries.filter(|(name, it)| it.gone.is_none() && !names.contains(&***name));
        gone.map(|(_, it)| it.gone = Some(now)).count() > 0
    }

    fn add_or_update(&mut self, path: &Path, name: String, now: Instant) -> bool {
        // The next read marks an entry as gone that was removed meanwhile.
        let Ok(metadata) = fs::symlink_metadata(path.join(&name)) else {
            return false;
        };
        let version = Version::of(&metadata);
        let is_full = self.entries.len() >= MAX_ENTRIES;
        match self.entries.get_mut(&name) {
            Some(tracked) if tracked.gone.is_none() => {
                tracked.is_read &= tracked.version == Some(version);
                tracked.version = Some(version);
                false
            }
            None if is_full => false,
            _ => {
                let is_trusted = self.is_trusted && is_own(&metadata);
                let tracked = TrackedEntry::pending(Some(version), now, is_trusted);
                self.entries.insert(name, tracked);
                true
            }
        }
    }

    fn forget(&mut self, now: Instant) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, tracked| {
            tracked
                .gone
                .is_none_or(|gone| !is_due(Some(gone), REMEMBER_FOR, now))
        });
        self.entries.len() != before
    }

    /// Names of trusted entries that have no state yet, or never had any.
    pub(super) fn pending(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(_, it)| it.is_trusted && matches!(it.entry, Entry::Pending))
            .map(|(name, _)| name.as_str())
    }

    /// The known entries: the existing ones, or those that were removed a moment ago.
    pub(super) fn known(&self, is_gone: bool) -> impl Iterator<Item = &Known> {
        let is_wanted = move |it: &&TrackedEntry| it.gone.is_some() == is_gone;
        let wanted = self.entries.values().filter(is_wanted);
        wanted.filter_map(|tracked| match &tracked.entry {
            Entry::Known(known) => Some(known),
            Entry::Pending => None,
        })
    }

    /// The containers that exist.
    pub(super) fn present(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.known(false).filter_map(|known| match known {
            Known::Container(record) => Some(record),
            Known::VirtualMachine(_) | Known::Nothing => None,
        })
    }
}

/// Whether an entry may be a container: runtimes keep other data in hidden entries.
fn is_name(name: &str) -> bool {
    !name.starts_with('.')
}

/// Names of the entries that are not symbolic links.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(path)?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_name(name))
        .take(MAX_ENTRIES);
    Ok(names.collect())
}

/// Whether only root or our own user could have created the content of a directory.
pub(super) fn is_trusted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| is_own(&it))
}

fn is_own(metadata: &Metadata) -> bool {
    let own = rustix::process::geteuid().as_raw();
    metadata.uid() == 0 || metadata.uid() == own
}
