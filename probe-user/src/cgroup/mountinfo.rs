//! Finds the mount on which a path ends, by the text of `mountinfo`, without touching a file
//! system.

use std::path::Path;

use procfs::process::MountInfo;

/// Maximum number of mounts on the way along a path, hidden mounts included.
const MAX_CROSSED: usize = 64;

/// The mount on which the resolution of this path ends, if no directory on the way is a
/// symbolic link. `mountinfo` also lists mounts that another mount hides; the resolution does
/// not reach these. `None` if the path begins outside of the listed mounts, as in a `chroot`.
#[must_use]
pub fn of_path<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<&'a MountInfo> {
    let root = Path::new("/");
    let is_below = |it: &&MountInfo| {
        let mut others = mounts.iter().filter(|other| other.mount_point == root);
        !others.any(|other| other.mnt_id == it.pid && other.mnt_id != it.mnt_id)
    };
    let tops = mounts.iter().filter(|it| it.mount_point == root);
    let mut at = tops.clone().find(is_below)?;
    for _ in 0..MAX_CROSSED {
        let next = mounts
            .iter()
            .filter(|it| it.pid == at.mnt_id && it.mnt_id != at.mnt_id)
            .filter(|it| path.starts_with(&it.mount_point))
            .min_by_key(|it| it.mount_point.as_os_str().len());
        match next {
            Some(next) => at = next,
            None => return Some(at),
        }
    }
    None
}
