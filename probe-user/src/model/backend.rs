//! The wake-up sources of a wait.

use super::words::words;

words! {
    /// A kind of wake-up source, best first. Each one also uses those below it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Backend {
        /// Records of BPF programs that this process loaded.
        Bpf = "bpf",
        /// `cgroup.events` and pidfds.
        Pidfd = "pidfd",
        /// Only the timer.
        Poll = "poll",
    }
}
