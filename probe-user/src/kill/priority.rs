//! The processor for us first, for as long as this lives.
//!
//! A thousand processes that do nothing but fork leave one that is like them two
//! milliseconds in a second: too little to ever signal them all.

use rustix::process::{getpriority_process, setpriority_process};

/// What it was.
pub(super) struct Priority(i32);

impl Priority {
    /// `None` without the right to (`CAP_SYS_NICE`).
    pub(super) fn first() -> Option<Self> {
        let before = getpriority_process(None).ok()?;
        setpriority_process(None, -20).ok()?;
        Some(Self(before))
    }
}

impl Drop for Priority {
    fn drop(&mut self) {
        // Less is always allowed.
        let _done = setpriority_process(None, self.0);
    }
}
