//! A cgroup that is frozen for as long as this lives.

use std::io;

use crate::cgroup::control::CgroupControl;

/// Thaws when it is dropped.
pub(super) struct Frozen<'a>(&'a CgroupControl);

impl<'a> Frozen<'a> {
    /// `None`: somebody else has frozen it, who may thaw it.
    pub(super) fn freeze(cgroup: &'a CgroupControl) -> io::Result<Option<Self>> {
        if cgroup.is_frozen() {
            return Ok(None);
        }
        // The guard first: what a failed write has done is undone too.
        let frozen = Self(cgroup);
        cgroup.freeze()?;
        Ok(Some(frozen))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.thaw() {
            let path = self.0.path().display();
            tracing::error!(%error, "cannot thaw {path}: it stays frozen");
        }
    }
}
