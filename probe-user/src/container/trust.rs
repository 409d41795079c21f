//! Decides which users' container metadata is trusted, and for what.
//!
//! State that root wrote is trusted. State that another user wrote is trusted about cgroups
//! of that user, and about an init process of that user that still is the recorded process.
//! Without this check a state file in `/run/user` could turn `probe wait --container web`
//! into a wait for, or a kill of, another user's cgroup.
//!
//! The functions here do no I/O; `evidence` reads the facts.

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
    use super::*;

    const USER: u32 = 1000;

    fn living(uid: u32) -> LivingInit {
        LivingInit {
            start_ticks: 77,
            uid,
            uid_map: Vec::new(),
        }
    }

    fn mapped(lines: &[(u32, u32, u32)]) -> LivingInit {
        let line = |&(inside, outside, count)| MappedUids {
            inside,
            outside,
            count,
        };
        LivingInit {
            uid_map: lines.iter().map(line).collect(),
            ..living(100_000)
        }
    }

    const fn owned(directory: u32, parent: u32) -> CgroupOwner {
        CgroupOwner { directory, parent }
    }

    #[test]
    fn root_may_claim_a_cgroup_that_does_not_exist() {
        assert!(accepts_claim(0, InitVerdict::Gone, None));
        assert_eq!(
            check_init(0, 77, Some(&living(USER))),
            InitVerdict::Verified
        );
    }

    #[test]
    fn an_init_that_root_recorded_must_have_the_recorded_start() {
        assert_eq!(check_init(0, 78, Some(&living(0))), InitVerdict::Mismatched);
        assert_eq!(check_init(0, 77, None), InitVerdict::Gone);
    }

    #[test]
    fn a_user_may_claim_only_cgroups_of_that_user() {
        assert!(accepts_claim(
            USER,
            InitVerdict::Verified,
            Some(owned(USER, 0))
        ));
        assert!(accepts_claim(
            USER,
            InitVerdict::Gone,
            Some(owned(USER, USER))
        ));
        assert!(!accepts_claim(
            USER,
            InitVerdict::Verified,
            Some(owned(0, 0))
        ));
        assert!(!accepts_claim(
            USER,
            InitVerdict::Verified,
            Some(owned(1001, 1001))
        ));
        assert!(!accepts_claim(USER, InitVerdict::Verified, None));
    }

    #[test]
    fn a_user_may_claim_a_cgroup_that_belongs_to_the_containers_root() {
        // crun changes the owner of the cgroup to the root of the user namespace, which maps
        // to a subordinate uid with --userns=keep-id.
        assert!(accepts_claim(
            USER,
            InitVerdict::Verified,
            Some(owned(100_000, USER))
        ));
    }

    #[test]
    fn a_reused_pid_is_a_mismatch() {
        let verdict = check_init(USER, 78, Some(&living(USER)));
        assert_eq!(verdict, InitVerdict::Mismatched);
        assert!(!accepts_claim(USER, verdict, Some(owned(USER, USER))));
    }

    #[test]
    fn an_init_of_another_user_is_a_mismatch() {
        assert_eq!(
            check_init(USER, 77, Some(&living(0))),
            InitVerdict::Mismatched
        );
        assert_eq!(
            check_init(USER, 77, Some(&living(1001))),
            InitVerdict::Mismatched
        );
    }

    #[test]
    fn the_root_of_a_users_namespace_belongs_to_the_user() {
        let rootless = mapped(&[(0, USER, 1), (1, 100_000, 65_536)]);
        assert_eq!(check_init(USER, 77, Some(&rootless)), InitVerdict::Verified);
        let keep_id = mapped(&[(0, 100_000, 1000), (1000, USER, 1), (1001, 101_000, 64_536)]);
        assert_eq!(check_init(USER, 77, Some(&keep_id)), InitVerdict::Verified);
    }

    #[test]
    fn a_namespace_that_maps_many_uids_proves_no_owner() {
        let initial = mapped(&[(0, 0, u32::MAX)]);
        assert_eq!(
            check_init(USER, 77, Some(&initial)),
            InitVerdict::Mismatched
        );
        let remapped = mapped(&[(0, 500, 65_536)]);
        assert_eq!(
            check_init(USER, 77, Some(&remapped)),
            InitVerdict::Mismatched
        );
    }
}
