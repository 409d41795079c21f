//! User and capabilities: once its programs are attached, the daemon keeps only the
//! capabilities without which this kernel does not let it work.
//!
//! User and capabilities belong to a thread, not to the process, and the calls here
//! change those of the calling thread. So they refuse to run beside another thread.

use std::{
    fs, io,
    thread::{self, park_timeout},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Gid, Uid},
    io::Errno,
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};
use tracing::{debug, info, warn};

use super::accounts::Account;

/// Why privileges were not dropped.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Another thread would have kept them.
    #[error("{0} threads run where there may be one only")]
    Threads(usize),
    /// `/proc/self/task` is not readable.
    #[error("cannot count the threads")]
    Count(#[source] io::Error),
    /// The kernel refused a step.
    #[error("cannot {step}")]
    Step {
        /// The step.
        step: &'static str,
        /// The cause.
        #[source]
        source: Errno,
    },
}

impl PrivilegeError {
    /// What a user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Threads(_) => "this is a bug of probe: please report it",
            Self::Count(_) => "the daemon needs /proc",
            Self::Step { .. } => {
                "to become another user takes CAP_SETUID and CAP_SETGID; \
                 with --user 0 root stays root, without its rights"
            }
        }
    }
}

/// Sets that are tried, in this order, for the work on maps and rings.
const CANDIDATES: [CapabilitySet; 3] = [
    CapabilitySet::empty(),
    CapabilitySet::BPF,
    CapabilitySet::BPF.union(CapabilitySet::PERFMON),
];

/// The capability that reads state directories of other users.
const READ_ALL: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// Time for a joined thread to disappear from `/proc/self/task`.
const THREAD_EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Changes to `account` and drops all capabilities but those that `works` needs, and
/// with `reads_all` the one that reads other users' state. `works` is a trial, for
/// example a map update, and runs in a thread with a candidate set: whether it needs
/// `CAP_BPF` depends on the kernel and on `kernel.unprivileged_bpf_disabled`.
pub(super) fn drop_to(
    account: Option<&Account>,
    reads_all: bool,
    works: impl FnMut() -> bool + Send,
) -> Result<(), PrivilegeError> {
    await_single_thread()?;
    let permitted = step("read the capabilities", capabilities(None))?.permitted;
    let mut kept = sufficient(permitted, works);
    if reads_all {
        if !permitted.contains(READ_ALL) {
            warn!("runtime-names: there is no CAP_DAC_READ_SEARCH that could be kept");
        }
        kept |= permitted & READ_ALL;
    }
    // The threads of the trials exit in a moment.
    await_single_thread()?;
    empty_bounding_set()?;
    if let Some(account) = account {
        step("keep capabilities", set_keep_capabilities(true))?;
        become_account(account)?;
        step("keep no capabilities", set_keep_capabilities(false))?;
    }
    keep(kept)?;
    // Before Linux 4.3 there is no ambient set.
    let _absent = clear_ambient_capability_set();
    step("set no_new_privs", set_no_new_privs(true))?;
    // A change of the user makes /proc/self belong to root, and with it the counters
    // of the programs.
    let dumpable = set_dumpable_behavior(DumpableBehavior::Dumpable);
    step("keep /proc/self ours", dumpable)?;
    info!(
        user = account.map(|it| &*it.name),
        ?kept,
        "privileges dropped"
    );
    Ok(())
}

/// Drops the capability that [`drop_to`] kept for reading other users' state.
pub(super) fn read_no_more() -> Result<(), PrivilegeError> {
    let permitted = step("read the capabilities", capabilities(None))?.permitted;
    keep(permitted - READ_ALL)
}

/// The first candidate set with which `works` succeeds; all of them if none does.
fn sufficient(permitted: CapabilitySet, mut works: impl FnMut() -> bool + Send) -> CapabilitySet {
    for set in CANDIDATES.map(|set| set & permitted) {
        let works = &mut works;
        let trial = || keep(set).is_ok() && works();
        let is_enough = thread::scope(|scope| scope.spawn(trial).join().unwrap_or(false));
        debug!(?set, is_enough, "tried");
        if is_enough {
            return set;
        }
    }
    warn!("the programs' maps cannot be changed: waits are told by cgroup.events and timers");
    permitted & (CapabilitySet::BPF | CapabilitySet::PERFMON)
}

fn keep(set: CapabilitySet) -> Result<(), PrivilegeError> {
    let sets = CapabilitySets {
        effective: set,
        permitted: set,
        inheritable: CapabilitySet::empty(),
    };
    step("drop capabilities", set_capabilities(None, sets))
}

fn become_account(account: &Account) -> Result<(), PrivilegeError> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    step("leave all groups", set_thread_groups(&[]))?;
    step("change the group", set_thread_res_gid(gid, gid, gid))?;
    step("change the user", set_thread_res_uid(uid, uid, uid))
}

/// Empties the bounding set, so that not even a program with file capabilities could
/// get a capability back. Without root this fails, but `no_new_privs` has the same
/// effect.
fn empty_bounding_set() -> Result<(), PrivilegeError> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => {}
            Ok(false) => continue,
            // The kernel has no further capability.
            Err(_) => break,
        }
        match remove_capability_from_bounding_set(capability) {
            Err(Errno::PERM) => {
                debug!("the bounding set stays: no CAP_SETPCAP");
                break;
            }
            result => step("empty the bounding set", result)?,
        }
    }
    Ok(())
}

fn await_single_thread() -> Result<(), PrivilegeError> {
    let deadline = Instant::now() + THREAD_EXIT_TIMEOUT;
    loop {
        let threads = fs::read_dir("/proc/self/task").map_err(PrivilegeError::Count)?;
        match threads.count() {
            1 => return Ok(()),
            count if Instant::now() >= deadline => return Err(PrivilegeError::Threads(count)),
            // No event reports that the kernel has released a thread.
            _ => park_timeout(Duration::from_millis(1)),
        }
    }
}

fn step<T>(step: &'static str, result: Result<T, Errno>) -> Result<T, PrivilegeError> {
    result.map_err(|source| PrivilegeError::Step { step, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The capabilities of the calling thread.
    fn permitted() -> CapabilitySet {
        capabilities(None).expect("asked").permitted
    }

    #[test]
    fn privileges_are_not_dropped_beside_other_threads() {
        // The harness runs the test in a second thread.
        let error = drop_to(None, false, || true).expect_err("two threads");
        assert!(matches!(error, PrivilegeError::Threads(2..)), "{error:?}");
    }

    #[test]
    fn a_trial_that_needs_nothing_keeps_nothing() {
        let before = permitted();
        let mut tried = Vec::new();
        let kept = sufficient(before, || {
            tried.push(permitted());
            true
        });
        assert_eq!(kept, CapabilitySet::empty());
        assert_eq!(tried, [CapabilitySet::empty()]);
        assert_eq!(permitted(), before, "only the trial's thread gave them up");
    }

    #[test]
    fn a_trial_that_needs_a_capability_keeps_it() {
        let before = permitted();
        let needed = CapabilitySet::BPF & before;
        assert_eq!(sufficient(before, || permitted().contains(needed)), needed);
        let both = (CapabilitySet::BPF | CapabilitySet::PERFMON) & before;
        assert_eq!(sufficient(before, || permitted().contains(both)), both);
    }

    #[test]
    fn a_trial_that_always_fails_keeps_both_candidates() {
        let all = CapabilitySet::BPF | CapabilitySet::PERFMON;
        let before = permitted();
        assert_eq!(sufficient(before, || false), all & before);
    }
}
