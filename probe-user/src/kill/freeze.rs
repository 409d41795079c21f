//! A guard that keeps a cgroup frozen while its processes are signalled.

use std::io;

use crate::cgroup::control::CgroupControl;

/// Thaws the cgroup when it is dropped.
pub(super) struct Frozen<'a>(&'a CgroupControl);

impl<'a> Frozen<'a> {
    /// Freezes `cgroup`. `None` if another program has frozen it already: that program
    /// decides when to thaw it.
    pub(super) fn freeze(cgroup: &'a CgroupControl) -> io::Result<Option<Self>> {
        if cgroup.is_frozen() {
            return Ok(None);
        }
        // The guard exists before the write, so that it also undoes a write that failed
        // halfway.
        let frozen = Self(cgroup);
        cgroup.freeze()?;
        Ok(Some(frozen))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.thaw() {
            let path = self.0.path().display();
            tracing::error!(%error, "cannot thaw {path}: the cgroup stays frozen");
        }
    }
}
