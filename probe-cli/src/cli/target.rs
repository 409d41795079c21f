//! `--cgroup`, `--container` and `--pid`: resolves names to cgroups and processes of this
//! machine.

use std::path::{Component, Path, PathBuf};

use probe_user::{
    model::Subtree,
    unstable::{
        cgroup::{
            locate::Located,
            mounts::{Mount, Mounts},
            pinned::{self, PinError, PinnedCgroup},
        },
        container::Resolver,
    },
};

use super::{ExitCode, Failure, named};

/// The kernel's `NAME_MAX`.
const NAME_BYTES: usize = 255;

/// A cgroup by name. It may not exist yet, or no longer.
#[derive(Clone, Debug)]
pub(super) struct CgroupTarget {
    pub(super) mount: Mount,
    pub(super) directory: PathBuf,
    /// Path below the root of the hierarchy.
    pub(super) path: String,
}

impl CgroupTarget {
    /// The cgroup at a path below the root of a hierarchy, as found by a walk of the mount or
    /// in the state of a container.
    pub(super) fn at(mounts: &Mounts, hierarchy: u32, path: &str) -> Result<Self, Failure> {
        let mount = mounts.of_hierarchy(hierarchy);
        mount
            .and_then(|mount| Self::on(mount, path))
            .ok_or_else(not_mounted)
    }

    /// The cgroup at a path of the hierarchy; `None` if this mount does not show the path.
    pub(super) fn on(mount: &Mount, path: &str) -> Option<Self> {
        Some(Self {
            mount: mount.clone(),
            directory: mount.directory_of(path)?,
            path: path.to_owned(),
        })
    }

    pub(super) fn subtree(&self) -> Subtree {
        Subtree {
            hierarchy: self.mount.hierarchy,
            path: self.path.clone(),
        }
    }

    pub(super) fn open(&self) -> Result<PinnedCgroup, PinError> {
        PinnedCgroup::open(&self.mount, &self.directory)
    }

    /// Whether there is such a directory, be it hidden by a mount.
    pub(super) fn exists(&self) -> bool {
        self.first_missing().is_none()
    }

    /// The first directory of the path that does not exist; `None` if the cgroup exists, be it
    /// hidden by a mount.
    pub(super) fn first_missing(&self) -> Option<PathBuf> {
        let found = pinned::lookup(&self.mount, &self.directory);
        found.err()?.missing().map(Path::to_owned)
    }

    /// Returns the cgroup if it exists.
    pub(super) fn existing(self) -> Result<Self, Failure> {
        match self.first_missing() {
            Some(first) => Err(self.missing(&first)),
            None => Ok(self),
        }
    }

    /// The failure if the cgroup does not exist, with the first directory that is missing.
    pub(super) fn missing(&self, first: &Path) -> Failure {
        let above = first.parent().unwrap_or(&self.mount.mount_point);
        no_cgroup(&self.directory).hint(format!(
            "{} does not exist; `find {} -type d` lists the cgroups",
            first.display(),
            above.display()
        ))
    }
}

fn no_cgroup(path: &Path) -> Failure {
    let message = format!("no such cgroup: {}", path.display());
    Failure::message(ExitCode::NoSuchTarget, message)
}

/// The cgroup mounts, or an error if there are none.
pub(super) fn mounts() -> Result<Mounts, Failure> {
    let mounts = Mounts::read()?;
    if mounts.is_empty() {
        return Err(not_mounted().hint("run `mount -t cgroup2 none /sys/fs/cgroup`"));
    }
    Ok(mounts)
}

fn not_mounted() -> Failure {
    Failure::message(ExitCode::NotAvailable, "no cgroup file system is mounted")
}

/// Resolves an absolute path on a cgroup mount, or a path below the root of a hierarchy as in
/// `/proc/PID/cgroup`. v2 takes precedence; `hierarchy` chooses among several v1 hierarchies.
pub(super) fn cgroup(
    mounts: &Mounts,
    name: &Path,
    hierarchy: Option<&str>,
) -> Result<CgroupTarget, Failure> {
    refuse_dots(name)?;
    refuse_long(name)?;
    let mounts = chosen(mounts, hierarchy)?;
    let located = if name.is_absolute() {
        mounts.locate(name)?
    } else {
        Located::Nowhere
    };
    if let Located::OnMount(mount, directory) = located {
        return Ok(CgroupTarget {
            path: mount.path_of(&directory).unwrap_or_default(),
            mount,
            directory,
        });
    }
    let below = name.strip_prefix("/").unwrap_or(name);
    let candidates: Vec<_> = mounts.iter().map(|mount| target(mount, below)).collect();
    let mut found: Vec<_> = candidates.iter().filter(|it| it.exists()).collect();
    if found.first().is_some_and(|it| it.mount.hierarchy == 0) {
        found.truncate(1);
    }
    if found.len() > 1 {
        return Err(ambiguous(name, &found));
    }
    if found.is_empty() && located == Located::Elsewhere {
        return Err(no_cgroup(name).hint(elsewhere(&mounts)));
    }
    let position = found.first().and_then(|found| {
        candidates
            .iter()
            .position(|it| it.directory == found.directory)
    });
    candidates
        .into_iter()
        .nth(position.unwrap_or(0))
        .ok_or_else(not_mounted)
}

/// Says where cgroups are. On a hybrid machine `/sys/fs/cgroup` itself is no mount of v2.
fn elsewhere(mounts: &Mounts) -> String {
    let place = match mounts.of_hierarchy(0) {
        Some(v2) => format!(
            "the v2 hierarchy is mounted on {}",
            v2.mount_point.display()
        ),
        None => "there is no v2 hierarchy, and the v1 hierarchies are elsewhere".to_owned(),
    };
    format!("the path is not on a cgroup mount; {place}")
}

/// Returns the cgroup of a container, on v2 if the container has one there.
pub(super) fn container(
    mounts: &Mounts,
    name: &str,
    resolver: &mut Resolver,
) -> Result<CgroupTarget, Failure> {
    let found = named::find(name, mounts, resolver)?;
    let (hierarchy, path) = found.cgroups.first().ok_or_else(|| {
        let message = format!("container '{name}' has no cgroup on this machine");
        Failure::message(ExitCode::NoSuchTarget, message)
            .hint("name its processes by --pid; `probe ps --container` lists them")
    })?;
    CgroupTarget::at(mounts, *hierarchy, path)
}

fn refuse_dots(name: &Path) -> Result<(), Failure> {
    let has_dots = name
        .components()
        .any(|component| component == Component::ParentDir);
    if has_dots || name.as_os_str().is_empty() {
        let message = format!("invalid cgroup path '{}'", name.display());
        let failure = Failure::message(ExitCode::Usage, message);
        return Err(failure.hint("use a path without `..`, such as /sys/fs/cgroup/a/b or a/b"));
    }
    Ok(())
}

/// Refuses a name that is too long. A cgroup file system returns ENOENT for it instead of
/// ENAMETOOLONG, so the cgroup would look as if it were gone.
fn refuse_long(name: &Path) -> Result<(), Failure> {
    let is_long = |it: Component<'_>| it.as_os_str().len() > NAME_BYTES;
    if name.components().any(is_long) {
        let message = format!("invalid cgroup path '{}'", name.display());
        let hint = format!("the name of a directory has at most {NAME_BYTES} bytes");
        return Err(Failure::message(ExitCode::Usage, message).hint(hint));
    }
    Ok(())
}

fn chosen(mounts: &Mounts, hierarchy: Option<&str>) -> Result<Mounts, Failure> {
    let Some(name) = hierarchy else {
        return Ok(mounts.clone());
    };
    let is_chosen = |mount: &Mount| match name {
        "v2" | "unified" => mount.hierarchy == 0,
        _ => mount
            .controllers
            .iter()
            .any(|it| it == name || it.strip_prefix("name=") == Some(name)),
    };
    let chosen = mounts.filtered(is_chosen);
    if chosen.is_empty() {
        let known: Vec<_> = mounts.iter().map(hierarchy_name).collect();
        let message = format!("no cgroup hierarchy '{name}' is mounted");
        let failure = Failure::message(ExitCode::Usage, message);
        return Err(failure.hint(format!("mounted hierarchies: {}", known.join(" "))));
    }
    Ok(chosen)
}

fn hierarchy_name(mount: &Mount) -> String {
    if mount.hierarchy == 0 {
        "v2".to_owned()
    } else {
        mount.controllers.join(",")
    }
}

fn target(mount: &Mount, below: &Path) -> CgroupTarget {
    let directory = mount.mount_point.join(below);
    CgroupTarget {
        path: mount.path_of(&directory).unwrap_or_default(),
        mount: mount.clone(),
        directory,
    }
}

fn ambiguous(name: &Path, found: &[&CgroupTarget]) -> Failure {
    let list: Vec<_> = found
        .iter()
        .map(|it| it.directory.display().to_string())
        .collect();
    let message = format!(
        "'{}' exists in several hierarchies: {}",
        name.display(),
        list.join(" ")
    );
    Failure::message(ExitCode::Usage, message).hint("choose one with --hierarchy NAME")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Plain directories in place of mounts, because the code under test does not check their
    /// file systems.
    fn machine() -> (tempfile::TempDir, Mounts) {
        let root = tempfile::tempdir().expect("a directory");
        let mount = |hierarchy, name: &str, controllers: &[&str]| {
            let mount_point = root.path().join(name);
            fs::create_dir(&mount_point).expect("a directory");
            Mount {
                hierarchy,
                controllers: controllers.iter().map(|&it| it.to_owned()).collect(),
                mount_point,
                root: "/".to_owned(),
            }
        };
        let mounts = Mounts::from_iter([
            mount(0, "unified", &[]),
            mount(8, "pids", &["pids"]),
            mount(9, "memory", &["memory"]),
        ]);
        (root, mounts)
    }

    #[test]
    fn a_relative_path_resolves_on_v2_before_v1() {
        let (root, mounts) = machine();
        for mount in ["unified", "pids"] {
            fs::create_dir(root.path().join(mount).join("a")).expect("a directory");
        }
        let target = cgroup(&mounts, Path::new("/a"), None).expect("a target");
        assert_eq!((target.mount.hierarchy, target.path.as_str()), (0, "/a"));
        let target = cgroup(&mounts, Path::new("a"), Some("pids")).expect("a target");
        assert_eq!(target.mount.hierarchy, 8);
    }

    #[test]
    fn an_error_lists_the_v1_hierarchies_that_have_the_path() {
        let (root, mounts) = machine();
        for mount in ["memory", "pids"] {
            fs::create_dir(root.path().join(mount).join("a")).expect("a directory");
        }
        let failure = cgroup(&mounts, Path::new("a"), None).expect_err("two match");
        assert_eq!(failure.code, ExitCode::Usage);
        let text = failure.error.to_string();
        assert!(
            text.contains("pids/a") && text.contains("memory/a"),
            "{text}"
        );
    }

    #[test]
    fn an_absolute_path_names_a_cgroup_that_need_not_exist() {
        let (root, mounts) = machine();
        let name = root.path().join("pids/gone");
        let target = cgroup(&mounts, &name, None).expect("a target");
        assert_eq!((target.mount.hierarchy, target.path.as_str()), (8, "/gone"));
        assert!(!target.exists());
    }

    #[test]
    fn an_unknown_path_is_one_of_v2_and_a_file_elsewhere_is_none() {
        let (root, mounts) = machine();
        for name in ["no/such", "/no/such"] {
            let target = cgroup(&mounts, Path::new(name), None).expect("a target");
            assert_eq!(
                (target.mount.hierarchy, target.path.as_str()),
                (0, "/no/such")
            );
        }
        let failure = cgroup(&mounts, root.path(), None).expect_err("not on a mount");
        assert_eq!(failure.code, ExitCode::NoSuchTarget);
    }

    #[test]
    fn dots_and_unknown_hierarchies_are_refused() {
        let (_root, mounts) = machine();
        for (name, hierarchy) in [("../etc", None), ("", None), ("a", Some("cpuset"))] {
            let failure = cgroup(&mounts, Path::new(name), hierarchy).expect_err(name);
            assert_eq!(failure.code, ExitCode::Usage);
            assert!(failure.hint.is_some());
        }
    }
}
