//! User and capabilities: once its programs are attached, the daemon keeps only the
//! capabilities that it needs on this kernel.
//!
//! User and capabilities belong to a thread, not to the process, and the functions here
//! change those of the calling thread. They fail if the process has another thread.

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
#[expect(missing_docs, reason = "the message of a variant explains its fields")]
pub enum PrivilegeError {
    /// Another thread would keep its privileges.
    #[error("cannot drop privileges: the process has {0} threads (expected one)")]
    Threads(usize),
    /// `/proc/self/task` is not readable.
    #[error("cannot count the threads")]
    Count(#[source] io::Error),
    /// The kernel refused a step.
    #[error("cannot {step}")]
    Step {
        step: &'static str,
        #[source]
        source: Errno,
    },
}

impl PrivilegeError {
    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Threads(_) => "this is a bug in probe: please report it",
            Self::Count(_) => "mount /proc: the daemon needs it",
            Self::Step { .. } => {
                "changing the user needs CAP_SETUID and CAP_SETGID; \
                 with --user 0 the daemon remains root, without root's capabilities"
            }
        }
    }
}

/// Sets of capabilities that are tried, in this order, for the work on maps and rings.
const CANDIDATES: [CapabilitySet; 3] = [
    CapabilitySet::empty(),
    CapabilitySet::BPF,
    CapabilitySet::BPF.union(CapabilitySet::PERFMON),
];

/// The capability for reading state directories of other users.
const READ_ALL: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// Time for a joined thread to disappear from `/proc/self/task`.
const THREAD_EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Changes to `account` and drops all capabilities except those that `works` needs and,
/// with `reads_all`, [`READ_ALL`]. `works` tries an operation, for example a map update,
/// in a thread with a candidate set, because the need for `CAP_BPF` depends on the kernel
/// and on `kernel.unprivileged_bpf_disabled`.
pub(super) fn drop_to(
    account: Option<&Account>,
    reads_all: bool,
    works: impl FnMut() -> bool + Send,
) -> Result<(), PrivilegeError> {
    await_single_thread()?;
    let permitted = step("read the capabilities", capabilities(None))?.permitted;
    let mut kept = smallest_sufficient(permitted, works);
    if reads_all {
        if !permitted.contains(READ_ALL) {
            warn!("runtime-names has no effect: the daemon lacks CAP_DAC_READ_SEARCH");
        }
        kept |= permitted & READ_ALL;
    }
    // The threads of the trials disappear shortly after they were joined.
    await_single_thread()?;
    empty_bounding_set()?;
    if let Some(account) = account {
        step("set PR_SET_KEEPCAPS", set_keep_capabilities(true))?;
        change_user(account)?;
        step("clear PR_SET_KEEPCAPS", set_keep_capabilities(false))?;
    }
    keep(kept)?;
    // Before Linux 4.3 there is no ambient set.
    let _absent = clear_ambient_capability_set();
    step("set no_new_privs", set_no_new_privs(true))?;
    // After a change of the user /proc/self belongs to root, and the counters of the
    // programs in it would be unreadable.
    let dumpable = set_dumpable_behavior(DumpableBehavior::Dumpable);
    step("set PR_SET_DUMPABLE", dumpable)?;
    info!("all privileges are dropped{}", except(kept));
    Ok(())
}

/// Names the capabilities that are kept.
fn except(kept: CapabilitySet) -> String {
    let names = [
        (CapabilitySet::BPF, "CAP_BPF"),
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
        (READ_ALL, "CAP_DAC_READ_SEARCH"),
    ];
    let names = names.iter().filter(|(set, _)| kept.contains(*set));
    let names: Vec<_> = names.map(|&(_, name)| name).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" except {}", names.join(" and "))
}

/// Drops [`READ_ALL`], which [`drop_to`] kept.
pub(super) fn drop_read_all() -> Result<(), PrivilegeError> {
    let permitted = step("read the capabilities", capabilities(None))?.permitted;
    keep(permitted - READ_ALL)
}

/// The first candidate set with which `works` succeeds; the largest one if none is enough.
fn smallest_sufficient(
    permitted: CapabilitySet,
    mut works: impl FnMut() -> bool + Send,
) -> CapabilitySet {
    for set in CANDIDATES.map(|set| set & permitted) {
        let works = &mut works;
        let trial = || keep(set).is_ok() && works();
        let is_enough = thread::scope(|scope| scope.spawn(trial).join().unwrap_or(false));
        debug!(
            is_enough,
            "serving was tried without privileges{}",
            except(set)
        );
        if is_enough {
            return set;
        }
    }
    warn!("cannot update BPF maps: only cgroup.events and timers wake waits");
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

fn change_user(account: &Account) -> Result<(), PrivilegeError> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    step("drop the supplementary groups", set_thread_groups(&[]))?;
    step("change the group", set_thread_res_gid(gid, gid, gid))?;
    step("change the user", set_thread_res_uid(uid, uid, uid))
}

/// Empties the bounding set, so that not even a program with file capabilities can gain a
/// capability. Without `CAP_SETPCAP` the set stays; `no_new_privs` has the same effect.
fn empty_bounding_set() -> Result<(), PrivilegeError> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => {}
            Ok(false) => continue,
            // The kernel does not know this capability or any higher one.
            Err(_) => break,
        }
        match remove_capability_from_bounding_set(capability) {
            Err(Errno::PERM) => {
                debug!("the bounding set is unchanged: no CAP_SETPCAP");
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
            // The kernel sends no notification when a joined thread disappears.
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
        capabilities(None).expect("readable").permitted
    }

    #[test]
    fn privileges_are_not_dropped_beside_other_threads() {
        // The harness runs the test in a second thread.
        let error = drop_to(None, false, || true).expect_err("two threads");
        assert!(matches!(error, PrivilegeError::Threads(2..)), "{error:?}");
    }

    #[test]
    fn kept_capabilities_have_the_names_that_setcap_takes() {
        assert_eq!(except(CapabilitySet::empty()), "");
        let both = CapabilitySet::BPF | CapabilitySet::PERFMON;
        assert_eq!(except(both), " except CAP_BPF and CAP_PERFMON");
    }

    #[test]
    fn a_trial_without_needs_keeps_no_capability() {
        let before = permitted();
        let mut tried = Vec::new();
        let kept = smallest_sufficient(before, || {
            tried.push(permitted());
            true
        });
        assert_eq!(kept, CapabilitySet::empty());
        assert_eq!(tried, [CapabilitySet::empty()]);
        assert_eq!(permitted(), before, "only the trial's thread dropped them");
    }

    #[test]
    fn a_trial_that_needs_a_capability_keeps_it() {
        let before = permitted();
        let needed = CapabilitySet::BPF & before;
        let kept = smallest_sufficient(before, || permitted().contains(needed));
        assert_eq!(kept, needed);
        let both = (CapabilitySet::BPF | CapabilitySet::PERFMON) & before;
        let kept = smallest_sufficient(before, || permitted().contains(both));
        assert_eq!(kept, both);
    }

    #[test]
    fn a_trial_that_always_fails_keeps_both_capabilities() {
        let all = CapabilitySet::BPF | CapabilitySet::PERFMON;
        let before = permitted();
        assert_eq!(smallest_sufficient(before, || false), all & before);
    }
}
