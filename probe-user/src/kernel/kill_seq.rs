//! Tells whether a cgroup that was killed by `cgroup.kill` kills processes that are started in it.
//!
//! Since Linux 6.14 (and in stable releases such as 6.1.176) a cgroup counts its kills, so that a
//! fork does not escape one: <https://git.kernel.org/torvalds/c/b69bb476dee9>. A fork compares the
//! count of the cgroup that the child is in with that of the parent, from before the fork. With
//! `CLONE_INTO_CGROUP` these are two cgroups, so the kernel kills the child at birth whenever they
//! were killed a different number of times.

use rustix::system::uname;

use super::btf::names::Names;

/// The first release that counts the kills without a backport.
const FIRST: (u32, u32) = (6, 14);
/// The member of `struct cgroup` with the count.
const COUNT: &[u8] = b"kill_seq";

/// Whether the kernel counts the kills of a cgroup, by its release or its types. `false` if neither
/// tells.
#[must_use]
pub fn is_counted() -> bool {
    let release = uname();
    let release = release.release().to_str().ok().and_then(release_of);
    release.is_some_and(|release| release >= FIRST)
        || Names::read().is_ok_and(|names| names.contain(COUNT))
}

/// The first two numbers of a release such as `6.18.44-cloud`.
fn release_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|it: char| !it.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_by_its_first_two_numbers() {
        assert_eq!(release_of("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(release_of("7.0-rc1"), Some((7, 0)));
        assert_eq!(release_of("next"), None);
        assert!(release_of("5.10.262").is_some_and(|it| it < FIRST));
    }
}
