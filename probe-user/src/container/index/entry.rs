//! One entry of a state directory: one container.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::is_due;
use crate::container::{record::Record, state_file::Version};

/// How long an entry may wait for its state. runc makes the directory, sets the
/// container up, and only then writes the state.
const AWAIT_FOR: Duration = Duration::from_secs(10);

/// What an entry turned out to be.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Container(Arc<Record>),
    /// By its unit.
    VirtualMachine(String),
    Nothing,
}

/// What could be read of an entry.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// Nothing yet.
    Awaited,
    Known(Known),
}

/// An entry over time.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) entry: Entry,
    /// Whether the entry is what `version` has in it.
    pub(super) is_read: bool,
    /// To be told from another one of the same name; `None` while it is only
    /// heard of.
    pub(super) version: Option<Version>,
    since: Instant,
    pub(super) gone: Option<Instant>,
    /// Whether nobody but root or we ourselves could have made it.
    pub(super) is_trusted: bool,
}

impl Seen {
    pub(super) const fn awaited(
        version: Option<Version>,
        since: Instant,
        is_trusted: bool,
    ) -> Self {
        Self {
            entry: Entry::Awaited,
            is_read: false,
            version,
            since,
            gone: None,
            is_trusted,
        }
    }

    pub(super) const fn is_to_be_read(&self) -> bool {
        self.gone.is_none() && !self.is_read
    }

    /// Takes what could be read; whether that changes anything. What was known
    /// before holds until something better comes.
    pub(super) fn read(&mut self, entry: Entry, now: Instant) -> bool {
        let is_late = is_due(Some(self.since), AWAIT_FOR, now);
        match (entry, &self.entry) {
            (Entry::Awaited, _) if !is_late => return false,
            (Entry::Awaited, Entry::Known(_)) => {}
            (Entry::Awaited, Entry::Awaited) => self.entry = Entry::Known(Known::Nothing),
            (entry @ Entry::Known(_), _) => self.entry = entry,
        }
        self.is_read = true;
        true
    }
}
