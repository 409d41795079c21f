//! A guard that raises the CPU priority of this process while it signals a cgroup.
//!
//! A thousand processes that do nothing but fork leave a process of normal priority two
//! milliseconds of CPU time in a second, which is too little to signal all of them.

use rustix::process::{getpriority_process, setpriority_process};

/// The nice value before the guard, restored when it is dropped.
pub(super) struct Priority(i32);

impl Priority {
    /// Sets the nice value -20; `None` without `CAP_SYS_NICE`.
    pub(super) fn raise() -> Option<Self> {
        let before = getpriority_process(None).ok()?;
        setpriority_process(None, -20).ok()?;
        Some(Self(before))
    }
}

impl Drop for Priority {
    fn drop(&mut self) {
        // Lowering the priority needs no privilege.
        let _done = setpriority_process(None, self.0);
    }
}
