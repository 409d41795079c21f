//! Finds the cgroup that an absolute path leads to.

use std::{
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

use procfs::process::{MountInfo, MountInfos};

use super::{
    mountinfo,
    mounts::{Mount, MountError, Mounts, read_own},
};

/// Limit: the kernel's `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;

/// File systems that may wait for another machine or for a server process.
const REMOTE: &[&str] = &[
    "9p", "afs", "autofs", "ceph", "cifs", "nfs", "nfs4", "smb3", "virtiofs",
];

/// What an absolute path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// A place on a cgroup mount, without symbolic links. There may be no cgroup.
    OnMount(Mount, PathBuf),
    /// A place in another file system than the root file system, or an existing file.
    Elsewhere,
    /// The path does not exist.
    Nowhere,
}

impl Mounts {
    /// Follows the symbolic links above the cgroup mounts, such as
    /// `/sys/fs/cgroup/cpu -> cpu,cpuacct`. No file of a cgroup and none of a file system that
    /// may wait for another machine or for a server process is touched.
    pub fn locate(&self, path: &Path) -> Result<Located, MountError> {
        if let Some((mount, _)) = self.of_path(path) {
            return Ok(Located::OnMount(mount.clone(), path.to_owned()));
        }
        let infos: MountInfos = read_own("mountinfo")?;
        Ok(self.follow(&infos.0, path))
    }

    fn follow(&self, infos: &[MountInfo], path: &Path) -> Located {
        let mut at = PathBuf::from("/");
        let mut links = 0;
        let mut rest: Vec<OsString> = Vec::new();
        push(&mut rest, path);
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(name);
            let whole: PathBuf = at.iter().chain(rest.iter().rev().map(|it| &**it)).collect();
            if let Some((mount, _)) = self.of_path(&whole) {
                return Located::OnMount(mount.clone(), whole);
            }
            if mountinfo::of_path(infos, &at).is_some_and(|it| is_remote(&it.fs_type)) {
                return Located::Elsewhere;
            }
            match fs::read_link(&at) {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    at.pop();
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    push(&mut rest, &target);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let root = Path::new("/");
                    let mount = mountinfo::of_path(infos, &at);
                    return match mount {
                        Some(it) if it.mount_point != root => Located::Elsewhere,
                        _ => Located::Nowhere,
                    };
                }
                // EINVAL for everything that is no symbolic link.
                _ => {}
            }
        }
        Located::Elsewhere
    }
}

/// Pushes the names of a path, the first one last.
fn push(rest: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    rest.extend(names);
}

fn is_remote(fs_type: &str) -> bool {
    fs_type.starts_with("fuse") || REMOTE.contains(&fs_type)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_above_a_mount_are_followed() {
        let top = tempfile::tempdir().expect("a directory");
        let top = top.path().canonicalize().expect("it exists");
        let mount = Mount {
            hierarchy: 3,
            controllers: vec!["cpu".to_owned(), "cpuacct".to_owned()],
            mount_point: top.join("cpu,cpuacct"),
            root: "/".to_owned(),
        };
        fs::create_dir(&mount.mount_point).expect("a directory");
        symlink("cpu,cpuacct", top.join("cpu")).expect("a link");
        symlink(&top, top.join("here")).expect("a link");
        symlink("loop", top.join("loop")).expect("a link");
        let mounts = Mounts::from_iter([mount.clone()]);
        for name in ["cpu/a", "here/cpu/a", "here/here/cpu/a", "cpu,cpuacct/a"] {
            let found = mounts.locate(&top.join(name)).expect("/proc is mounted");
            let expected = Located::OnMount(mount.clone(), mount.mount_point.join("a"));
            assert_eq!(found, expected, "{name}");
        }
        let found = mounts
            .locate(&top.join("loop/a"))
            .expect("/proc is mounted");
        assert!(!matches!(found, Located::OnMount(..)), "{found:?}");
    }

    #[test]
    fn a_path_outside_of_the_mounts_is_elsewhere_or_nowhere() {
        let mounts = Mounts::default();
        let find = |path| mounts.locate(Path::new(path)).expect("/proc is mounted");
        assert_eq!(find("/proc/1/no-such-file"), Located::Elsewhere);
        assert_eq!(find("/etc"), Located::Elsewhere);
        assert_eq!(find("/no-such-directory/a"), Located::Nowhere);
    }
}
