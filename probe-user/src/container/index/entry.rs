//! An entry of a state directory, which stands for one container, and its history.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::is_due;
use crate::container::{record::Record, state_file::Version};

/// How long an entry may have no state. runc creates the directory, sets the container up,
/// and only then writes the state.
const PENDING_LIMIT: Duration = Duration::from_secs(10);

/// What an entry stands for.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Container(Arc<Record>),
    /// A virtual machine, by its unit.
    VirtualMachine(String),
    Nothing,
}

/// The result of reading an entry.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// The entry has no state yet.
    Pending,
    Known(Known),
}

/// What was last read from an entry of a state directory, and when the entry appeared and
/// disappeared.
#[derive(Debug)]
pub(super) struct TrackedEntry {
    pub(super) entry: Entry,
    /// Whether `entry` is the content of `version`.
    pub(super) is_read: bool,
    /// Distinguishes the entry from a later one with the same name; `None` until the
    /// directory is read.
    pub(super) version: Option<Version>,
    since: Instant,
    /// When the entry was found to be removed.
    pub(super) gone: Option<Instant>,
    /// Whether only root or our own user could have created it.
    pub(super) is_trusted: bool,
}

impl TrackedEntry {
    pub(super) const fn pending(
        version: Option<Version>,
        since: Instant,
        is_trusted: bool,
    ) -> Self {
        Self {
            entry: Entry::Pending,
            is_read: false,
            version,
            since,
            gone: None,
            is_trusted,
        }
    }

    pub(super) const fn is_unread(&self) -> bool {
        self.gone.is_none() && !self.is_read
    }

    /// Stores the result of a read; returns whether it changes anything. A known entry stays
    /// as it is until its new state can be read.
    pub(super) fn update(&mut self, entry: Entry, now: Instant) -> bool {
        let is_late = is_due(Some(self.since), PENDING_LIMIT, now);
        match (entry, &self.entry) {
            (Entry::Pending, _) if !is_late => return false,
            (Entry::Pending, Entry::Known(_)) => {}
            (Entry::Pending, Entry::Pending) => self.entry = Entry::Known(Known::Nothing),
            (entry @ Entry::Known(_), _) => self.entry = entry,
        }
        self.is_read = true;
        true
    }
}
