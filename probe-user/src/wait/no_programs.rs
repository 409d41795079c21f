//! Replaces `programs.rs` in a build without BPF, where a hub has no programs.

use std::convert::Infallible;

use super::{hub::Shared, occupancy::Recorded};
use crate::model::CgroupId;

#[derive(Debug, Default)]
pub(super) struct Programs(());

impl Programs {
    #[expect(clippy::unused_self, reason = "the same calls as with BPF")]
    pub(super) const fn watch(&self, _id: CgroupId) -> Option<Result<(), Infallible>> {
        None
    }

    #[expect(clippy::unused_self, reason = "the same calls as with BPF")]
    pub(super) fn unwatch(&self, unused: impl FnOnce() -> Vec<CgroupId>) {
        drop(unused());
    }

    #[expect(clippy::unused_self, reason = "the same calls as with BPF")]
    pub(super) const fn recorded(&self, _id: CgroupId) -> Option<Recorded> {
        None
    }

    #[expect(clippy::unused_self, reason = "the same calls as with BPF")]
    pub(super) const fn missed_entries(&self, _hierarchy: u32) -> Option<u64> {
        None
    }
}

impl Shared {
    #[expect(clippy::unused_self, reason = "the same calls as with BPF")]
    pub(super) const fn receive_entries(&self) -> bool {
        false
    }
}
