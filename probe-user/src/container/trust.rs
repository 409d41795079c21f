//! Whose word is taken for what.
//!
//! Root's is. What another user wrote is believed as far as that user could
//! have made it true: about cgroups that are that user's, and about an init
//! process that is that user's and still the one recorded. Otherwise a state
//! file in `/run/user` could turn `probe wait --container web` into a wait on
//! somebody else's cgroup, or worse, a kill.
//!
//! Pure: `evidence` looks the facts up.

/// Who owns a cgroup that a state file claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CgroupOwner {
    /// Of its directory.
    pub(super) directory: u32,
    /// Of the directory that it lies in: who could make it and may remove it.
    pub(super) parent: u32,
}

/// A living process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LivingInit {
    /// Field 22 of `/proc/PID/stat`.
    pub(super) start_ticks: u64,
    /// Real uid.
    pub(super) uid: u32,
    /// Its user namespace, as `/proc/PID/uid_map` shows it to us.
    pub(super) uid_map: Vec<MappedUids>,
}

/// One line of `/proc/PID/uid_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappedUids {
    /// First uid inside.
    pub(super) inside: u32,
    /// What that is outside.
    pub(super) outside: u32,
    /// How many.
    pub(super) count: u32,
}

/// What to make of the init process that a state file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitVerdict {
    /// It lives, is the one recorded, and the writer's.
    Believed,
    /// It is gone, or nobody recorded one.
    Gone,
    /// The pid is another process's by now, or never was the writer's.
    Refuted,
}

/// Judges a recorded init process.
pub(super) fn init(writer: u32, recorded_start: u64, living: Option<&LivingInit>) -> InitVerdict {
    let Some(living) = living else {
        return InitVerdict::Gone;
    };
    let is_same = living.start_ticks == recorded_start;
    let is_theirs = writer == 0 || living.uid == writer || is_owner(writer, &living.uid_map);
    if is_same && is_theirs {
        InitVerdict::Believed
    } else {
        InitVerdict::Refuted
    }
}

/// Whether a user namespace is this user's: its root is, or the one uid mapped
/// by itself (`--userns=keep-id`) is. The kernel lets nobody but the owner of a
/// namespace and the privileged map an uid; the owner itself cannot be asked
/// for without the right to ptrace. A map of many uids says nothing: an identity
/// map holds everybody's.
fn is_owner(user: u32, map: &[MappedUids]) -> bool {
    map.iter()
        .any(|line| line.outside == user && (line.inside == 0 || line.count == 1))
}

/// Judges a claim on a cgroup. `None` if the cgroup does not exist: nothing
/// speaks for the claim then.
///
/// That the writer's init is in the cgroup is no argument: anybody's session is
/// in a cgroup below `user.slice`, which makes nobody own that.
pub(super) fn cgroup(writer: u32, init: InitVerdict, owner: Option<CgroupOwner>) -> bool {
    if writer == 0 {
        return true;
    }
    // A pid that is not the recorded process means that the file is old or a lie.
    let is_possible = init != InitVerdict::Refuted;
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
    fn root_is_believed_even_about_cgroups_that_are_not_there() {
        assert!(cgroup(0, InitVerdict::Gone, None));
        assert_eq!(init(0, 77, Some(&living(USER))), InitVerdict::Believed);
    }

    #[test]
    fn even_roots_init_must_be_the_process_recorded() {
        assert_eq!(init(0, 78, Some(&living(0))), InitVerdict::Refuted);
        assert_eq!(init(0, 77, None), InitVerdict::Gone);
    }

    #[test]
    fn a_user_is_believed_about_own_cgroups_only() {
        assert!(cgroup(USER, InitVerdict::Believed, Some(owned(USER, 0))));
        assert!(cgroup(USER, InitVerdict::Gone, Some(owned(USER, USER))));
        assert!(!cgroup(USER, InitVerdict::Believed, Some(owned(0, 0))));
        assert!(!cgroup(
            USER,
            InitVerdict::Believed,
            Some(owned(1001, 1001))
        ));
        assert!(!cgroup(USER, InitVerdict::Believed, None));
    }

    #[test]
    fn a_cgroup_handed_to_the_containers_root_is_still_its_makers() {
        // crun gives the cgroup to the root of the user namespace, whose uid
        // outside is a subordinate one with --userns=keep-id.
        assert!(cgroup(
            USER,
            InitVerdict::Believed,
            Some(owned(100_000, USER))
        ));
    }

    #[test]
    fn a_pid_that_somebody_else_has_by_now_refutes_the_file() {
        let verdict = init(USER, 78, Some(&living(USER)));
        assert_eq!(verdict, InitVerdict::Refuted);
        assert!(!cgroup(USER, verdict, Some(owned(USER, USER))));
    }

    #[test]
    fn an_init_of_another_user_refutes_the_file() {
        assert_eq!(init(USER, 77, Some(&living(0))), InitVerdict::Refuted);
        assert_eq!(init(USER, 77, Some(&living(1001))), InitVerdict::Refuted);
    }

    #[test]
    fn the_root_of_a_users_namespace_is_the_users() {
        let rootless = mapped(&[(0, USER, 1), (1, 100_000, 65_536)]);
        assert_eq!(init(USER, 77, Some(&rootless)), InitVerdict::Believed);
        let keep_id = mapped(&[(0, 100_000, 1000), (1000, USER, 1), (1001, 101_000, 64_536)]);
        assert_eq!(init(USER, 77, Some(&keep_id)), InitVerdict::Believed);
    }

    #[test]
    fn a_namespace_that_maps_everybody_is_nobodys_proof() {
        let initial = mapped(&[(0, 0, u32::MAX)]);
        assert_eq!(init(USER, 77, Some(&initial)), InitVerdict::Refuted);
        let remapped = mapped(&[(0, 500, 65_536)]);
        assert_eq!(init(USER, 77, Some(&remapped)), InitVerdict::Refuted);
    }
}
