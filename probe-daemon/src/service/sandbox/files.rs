//! The Landlock ruleset (Linux 5.13): the daemon can open only the files that it needs.
//! Without Landlock the daemon logs a warning and can open every file.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use probe_user::unstable::{cgroup::mounts::Mount, container::StateRoots};
use tracing::{debug, info, warn};

/// The access rights of Linux 6.10. An older kernel enforces those that it has.
const KNOWN: ABI = ABI::V5;

/// Directories that are read besides `/proc` and the cgroup mounts: the kernel's BTF, and
/// the number of CPUs, which is the number of values of a per-CPU counter.
const SYSTEM: [&str; 2] = ["/sys/kernel/btf", "/sys/devices/system/cpu"];

/// Directory in which a runtime creates its state directory with its first container.
const RUN: &str = "/run";

/// The access to files could not be limited although the kernel has Landlock.
#[derive(Debug, thiserror::Error)]
#[error("cannot limit the access to files by Landlock")]
pub struct FileError(#[from] RulesetError);

/// Files that the daemon may open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Directories that may be read, with their contents.
    read: Vec<PathBuf>,
    /// The directory in which files may be removed: that of the socket.
    remove: Option<PathBuf>,
}

impl Files {
    /// The files that the daemon needs. A state directory below `/run` that does not exist
    /// yet needs access to all of `/run`, which `is_strict` denies.
    pub(crate) fn needed(
        mounts: &[Mount],
        roots: &StateRoots,
        socket_directory: Option<&Path>,
        is_strict: bool,
    ) -> Self {
        let mounts = mounts.iter().map(|it| it.mount_point.clone());
        let system = SYSTEM.map(PathBuf::from);
        let states = roots.directories().into_iter().filter_map(|directory| {
            if directory.is_dir() {
                return Some(directory);
            }
            let is_later = directory.starts_with(RUN) && !is_strict;
            if !is_later {
                debug!(
                    "{} does not exist and will not be read",
                    directory.display()
                );
            }
            is_later.then(|| PathBuf::from(RUN))
        });
        let mut read: Vec<_> = [PathBuf::from("/proc")]
            .into_iter()
            .chain(mounts)
            .chain(system)
            .chain(states)
            .collect();
        read.sort();
        read.dedup_by(|lower, upper| lower.starts_with(upper));
        Self {
            read,
            remove: socket_directory.map(Path::to_owned),
        }
    }
}

/// Limits this thread and the threads that it starts to these files. Open descriptors stay
/// usable. Returns false if the kernel has no Landlock, so that nothing is limited.
pub(crate) fn limit_files(files: &Files) -> Result<bool, FileError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .create()?;
    for path in &files.read {
        rules = allow(rules, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    if let Some(path) = &files.remove {
        let access = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::RemoveFile;
        rules = allow(rules, path, access)?;
    }
    let status = rules.restrict_self()?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, why) => {
            warn!("files are not limited: {}", absence(why));
            return Ok(false);
        }
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            info!(
                "files are limited by Landlock {effective_abi:?}, which lacks rights of {KNOWN:?}"
            );
        }
        (status, _) => debug!(?status, ?files, "files are limited"),
    }
    Ok(true)
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, FileError> {
    match PathFd::new(path) {
        Ok(file) => Ok(rules.add_rule(PathBeneath::new(file, access))?),
        Err(error) => {
            debug!(%error, "{} will not be read", path.display());
            Ok(rules)
        }
    }
}

fn absence(status: LandlockStatus) -> &'static str {
    match status {
        LandlockStatus::NotEnabled => {
            "Landlock is not enabled; hint: boot with landlock in the lsm= parameter"
        }
        _ => "this kernel has no Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK)",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io, thread};

    use super::*;

    /// Runs `then` under the limit, in a thread of its own.
    fn limited<T: Send>(files: &Files, then: impl FnOnce(bool) -> T + Send) -> T {
        let run = || then(limit_files(files).expect("applied"));
        thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
    }

    #[test]
    fn only_the_listed_files_are_readable() {
        let directory = tempfile::tempdir().expect("a directory");
        let (inside, outside) = (directory.path().join("in"), directory.path().join("out"));
        for path in [&inside, &outside] {
            fs::create_dir(path).expect("made");
            fs::write(path.join("file"), "text").expect("written");
        }
        let files = Files {
            read: vec![inside.clone(), "/proc".into(), "/not/there".into()],
            remove: None,
        };
        limited(&files, |is_limited| {
            let is_denied = |result: io::Result<()>| {
                result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
            };
            assert_eq!(fs::read(inside.join("file")).expect("allowed"), b"text");
            // A kernel without Landlock must report that nothing is limited.
            let written = fs::write(inside.join("file"), "other");
            assert_eq!(is_denied(written), is_limited);
            let read = fs::read(outside.join("file")).map(drop);
            assert_eq!(is_denied(read), is_limited);
        });
    }

    #[test]
    fn the_socket_can_be_removed_but_not_recreated() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("p.sock");
        fs::write(&path, "").expect("written");
        let files = Files {
            read: Vec::new(),
            remove: Some(directory.path().to_owned()),
        };
        let is_limited = limited(&files, |is_limited| {
            fs::remove_file(&path).expect("allowed");
            let made = fs::write(&path, "");
            assert_eq!(made.is_err(), is_limited, "{made:?}");
            is_limited
        });
        assert_eq!(path.exists(), !is_limited);
    }

    #[test]
    fn a_missing_state_directory_makes_run_readable_unless_strict() {
        let later = PathBuf::from("/run/probe-has-no-such-runtime");
        let roots = StateRoots::system(None, vec![later]);
        let lenient = Files::needed(&[], &roots, None, false);
        assert!(lenient.read.contains(&RUN.into()), "{lenient:?}");
        let strict = Files::needed(&[], &roots, None, true);
        assert!(!strict.read.contains(&RUN.into()), "{strict:?}");
        for files in [lenient, strict] {
            assert!(files.read.contains(&"/proc".into()), "{files:?}");
            assert!(!files.read.contains(&"/".into()), "{files:?}");
        }
    }
}
