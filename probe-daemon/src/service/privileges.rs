//! What the daemon may still do once its programs are attached: as little as
//! the kernel lets it work with.
//!
//! Identity and capabilities are a thread's, not a process's, and this changes
//! those of the calling one. So it runs while there is no other, and refuses to
//! otherwise.

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
    /// A thread would have kept them.
    #[error("{0} threads run where there may be one only")]
    Threads(usize),
    /// `/proc/self/task` is not readable, so nobody knows.
    #[error("cannot count the threads")]
    Count(#[source] io::Error),
    /// The kernel refused a step.
    #[error("cannot {step}")]
    Step {
        /// Which.
        step: &'static str,
        /// Why.
        #[source]
        source: Errno,
    },
}

impl PrivilegeError {
    /// What to do.
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

/// Sets that are tried in this order for the daily work on maps and rings.
const ENOUGH: [CapabilitySet; 3] = [
    CapabilitySet::empty(),
    CapabilitySet::BPF,
    CapabilitySet::BPF.union(CapabilitySet::PERFMON),
];

/// What reads a state directory of another user.
const READ_ALL: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// A thread that was joined is listed for a moment still.
const PATIENCE: Duration = Duration::from_secs(1);

/// Becomes `account` and keeps what `works` needs, and with `reads_all` what
/// reads other users' state. `works` is a trial, for example a map update, in a
/// thread that has only the capabilities in question: whether `CAP_BPF` is needed
/// for it depends on the kernel and on `kernel.unprivileged_bpf_disabled`.
pub fn drop_to(
    account: Option<&Account>,
    reads_all: bool,
    works: impl FnMut() -> bool + Send,
) -> Result<(), PrivilegeError> {
    await_single_thread()?;
    let permitted = step("read the capabilities", capabilities(None))?.permitted;
    let mut kept = enough(permitted, works);
    if reads_all {
        if !permitted.contains(READ_ALL) {
            warn!("runtime-names: there is no CAP_DAC_READ_SEARCH that could be kept");
        }
        kept |= permitted & READ_ALL;
    }
    // The trials' threads are gone in a moment.
    await_single_thread()?;
    empty_bounding_set()?;
    if let Some(account) = account {
        step("keep capabilities", set_keep_capabilities(true))?;
        become_account(account)?;
        step("keep no capabilities", set_keep_capabilities(false))?;
    }
    keep(kept)?;
    // Before Linux 4.3 there is none to clear.
    let _absent = clear_ambient_capability_set();
    step("set no_new_privs", set_no_new_privs(true))?;
    // A change of the user makes our own /proc/self root's, and with it the
    // programs' counters.
    let dumpable = set_dumpable_behavior(DumpableBehavior::Dumpable);
    step("keep /proc/self ours", dumpable)?;
    info!(
        user = account.map(|it| &*it.name),
        ?kept,
        "privileges dropped"
    );
    Ok(())
}

/// Gives up what [`drop_to`] kept for reading others' state.
pub fn read_no_more() -> Result<(), PrivilegeError> {
    let permitted = step("read the capabilities", capabilities(None))?.permitted;
    keep(permitted - READ_ALL)
}

/// The first set with which it works; all that there is if it does with none.
fn enough(permitted: CapabilitySet, mut works: impl FnMut() -> bool + Send) -> CapabilitySet {
    for set in ENOUGH.map(|set| set & permitted) {
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

/// So that not even a program with file capabilities could get one back. Who is
/// not root may not, and `no_new_privs` says the same.
fn empty_bounding_set() -> Result<(), PrivilegeError> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => {}
            Ok(false) => continue,
            // The kernel has no more.
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
    let deadline = Instant::now() + PATIENCE;
    loop {
        let threads = fs::read_dir("/proc/self/task").map_err(PrivilegeError::Count)?;
        match threads.count() {
            1 => return Ok(()),
            count if Instant::now() >= deadline => return Err(PrivilegeError::Threads(count)),
            // Nothing tells when the kernel has released it.
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

    /// What a thread has by now.
    fn permitted() -> CapabilitySet {
        capabilities(None).expect("asked").permitted
    }

    #[test]
    fn other_threads_are_a_reason_to_refuse() {
        // The harness runs this in a thread of its own.
        let error = drop_to(None, false, || true).expect_err("two threads");
        assert!(matches!(error, PrivilegeError::Threads(2..)), "{error:?}");
    }

    #[test]
    fn what_works_without_keeps_nothing() {
        let before = permitted();
        let mut tried = Vec::new();
        let kept = enough(before, || {
            tried.push(permitted());
            true
        });
        assert_eq!(kept, CapabilitySet::empty());
        assert_eq!(tried, [CapabilitySet::empty()]);
        assert_eq!(permitted(), before, "only the trial's thread gave them up");
    }

    #[test]
    fn what_needs_a_capability_keeps_it() {
        let before = permitted();
        let needed = CapabilitySet::BPF & before;
        assert_eq!(enough(before, || permitted().contains(needed)), needed);
        let both = (CapabilitySet::BPF | CapabilitySet::PERFMON) & before;
        assert_eq!(enough(before, || permitted().contains(both)), both);
    }

    #[test]
    fn what_never_works_keeps_both_and_no_more() {
        let all = CapabilitySet::BPF | CapabilitySet::PERFMON;
        let before = permitted();
        assert_eq!(enough(before, || false), all & before);
    }
}
