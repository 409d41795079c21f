//! Decides which users' container metadata is trusted, and for what.
//!
//! State that root wrote is trusted. State that another user wrote is trusted about cgroups
//! of that user, and about an init process of that user that still is the recorded process.
//! Without this check a state file in `/run/user` could turn `probe wait --container web`
//! into a wait for, or a kill of, another user's cgroup.
//!
//! The functions here do no I/O; `evidence` reads the facts.

use super::Init;

/// The uids that own a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CgroupOwner {
    /// Owner of the cgroup's directory.
    pub(super) directory: u32,
    /// Owner of the parent directory, which may create and remove the cgroup.
    pub(super) parent: u32,
}

/// The facts of a living process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LivingInit {
    /// Field 22 of `/proc/PID/stat`.
    pub(super) start_ticks: u64,
    /// Real uid.
    pub(super) uid: u32,
    /// The uid map of its user namespace, as we see it.
    pub(super) uid_map: Vec<MappedUids>,
}

impl LivingInit {
    /// The facts of a process of which only the start is known.
    pub(super) fn started(init: Init) -> Self {
        Self {
            start_ticks: init.start_ticks,
            ..Self::default()
        }
    }
}

/// One line of `/proc/PID/uid_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappedUids {
    /// First uid inside the namespace.
    pub(super) inside: u32,
    /// The uid outside that the first uid maps to.
    pub(super) outside: u32,
    /// Number of uids in the range.
    pub(super) count: u32,
}

/// The result of checking the init process that a state file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitVerdict {
    /// The recorded process lives and belongs to the writer of the file.
    Verified,
    /// The process is gone, or the file names none.
    Gone,
    /// The pid belongs to a later process, or to a process of another user.
    Mismatched,
}

/// Checks a recorded init process.
pub(super) fn check_init(
    writer: u32,
    recorded_start: u64,
    living: Option<&LivingInit>,
) -> InitVerdict {
    let Some(living) = living else {
        return InitVerdict::Gone;
    };
    let is_same = living.start_ticks == recorded_start;
    let is_writers = writer == 0 || living.uid == writer || is_owner(writer, &living.uid_map);
    if is_same && is_writers {
        InitVerdict::Verified
    } else {
        InitVerdict::Mismatched
    }
}

/// Whether a user namespace belongs to this user: root inside maps to the user, or a range
/// of one uid does (`--userns=keep-id`). The kernel lets only the owner of a namespace and
/// privileged processes map a uid, and reading the owner itself needs the right to ptrace.
/// A range of many uids proves nothing: an identity map contains the uids of all users.
fn is_owner(user: u32, map: &[MappedUids]) -> bool {
    map.iter()
        .any(|line| line.outside == user && (line.inside == 0 || line.count == 1))
}

/// Whether a state file may claim a cgroup. `owner` is `None` if the cgroup does not exist;
/// then only root's claim is accepted.
///
/// An init process of the writer in the cgroup proves nothing: the session of any user is in
/// a cgroup below `user.slice`, which the user does not own.
pub(super) fn accepts_claim(writer: u32, init: InitVerdict, owner: Option<CgroupOwner>) -> bool {
    if writer == 0 {
        return true;
    }
    // A pid that is not the recorded process means that the file is outdated or forged.
    let is_possible = init != InitVerdict::Mismatched;
    is_possible && owner.is_some_and(|it| it.directory == writer || it.parent == writer)
}

#[cfg(test)]
mod tests {
    use super::{
        InitVerdict::{Gone, Mismatched, Verified},
        *,
    };

    const USER: u32 = 1000;

    #[test]
    fn a_claim_is_accepted_from_root_and_from_the_owner_of_the_cgroup() {
        let owned = |directory, parent| Some(CgroupOwner { directory, parent });
        for (case, writer, init, owner, is_accepted) in [
            ("root, missing cgroup", 0, Gone, None, true),
            ("own cgroup", USER, Verified, owned(USER, 0), true),
            ("own cgroup, no init", USER, Gone, owned(USER, USER), true),
            ("root's cgroup", USER, Verified, owned(0, 0), false),
            ("another user's", USER, Verified, owned(1001, 1001), false),
            ("missing cgroup", USER, Verified, None, false),
            ("wrong init", USER, Mismatched, owned(USER, USER), false),
            // crun changes the owner of the cgroup to the root of the user namespace, which
            // maps to a subordinate uid with --userns=keep-id.
            ("subordinate uid", USER, Verified, owned(500, USER), true),
        ] {
            assert_eq!(accepts_claim(writer, init, owner), is_accepted, "{case}");
        }
    }

    #[test]
    fn an_init_is_verified_by_its_start_and_its_user() {
        assert_eq!(check_init(0, 77, None), Gone);
        for (case, writer, start_ticks, uid, verdict) in [
            ("root, a user's process", 0, 77, USER, Verified),
            ("root, reused pid", 0, 78, 0, Mismatched),
            ("a user, reused pid", USER, 78, USER, Mismatched),
            ("a user, root's process", USER, 77, 0, Mismatched),
            ("a user, another user's process", USER, 77, 1001, Mismatched),
        ] {
            let living = LivingInit {
                start_ticks,
                uid,
                uid_map: Vec::new(),
            };
            assert_eq!(check_init(writer, 77, Some(&living)), verdict, "{case}");
        }
    }

    #[test]
    fn a_user_owns_a_namespace_of_which_the_root_or_a_single_uid_maps_to_the_user() {
        let rootless = [(0, USER, 1), (1, 100_000, 65_536)];
        let keep_id = [(0, 100_000, 1000), (1000, USER, 1), (1001, 101_000, 64_536)];
        for (case, map, verdict) in [
            ("rootless", &rootless[..], Verified),
            ("--userns=keep-id", &keep_id[..], Verified),
            ("initial namespace", &[(0, 0, u32::MAX)][..], Mismatched),
            ("many uids", &[(0, 500, 65_536)][..], Mismatched),
        ] {
            let uids = |&(inside, outside, count)| MappedUids {
                inside,
                outside,
                count,
            };
            let living = LivingInit {
                start_ticks: 77,
                uid: 100_000,
                uid_map: map.iter().map(uids).collect(),
            };
            assert_eq!(check_init(USER, 77, Some(&living)), verdict, "{case}");
        }
    }
}
