//! Who asks, and what that user may see.

use std::fs;

use probe_user::model::{Owners, Process};
use tokio::net::{UnixStream, unix::UCred};

/// The other end of a connection, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Whose processes it may see.
    uid: Option<u32>,
    /// Root, or the daemon's own user.
    sees_all: bool,
    /// In another pid namespace: its pids and paths mean something else there.
    is_foreign: bool,
    /// Its number, where the kernel knows one.
    pid: Option<u32>,
}

impl Peer {
    /// Whom the socket was connected by (`SO_PEERCRED`).
    pub(crate) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let own = rustix::process::getuid().as_raw();
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
        Ok(Self {
            pid: pid.filter(|&pid| pid > 0),
            ..Self::new(credentials.uid(), own, is_foreign(&credentials))
        })
    }

    fn new(uid: u32, own: u32, is_foreign: bool) -> Self {
        let is_mighty = uid == 0 || uid == own;
        Self {
            // The root of a container is not that of the machine, whatever its
            // number.
            uid: (!is_foreign || !is_mighty).then_some(uid),
            sees_all: !is_foreign && is_mighty,
            is_foreign,
            pid: None,
        }
    }

    /// Who it is, for a look at where it sees the mounts.
    pub(crate) const fn pid(self) -> Option<u32> {
        self.pid
    }

    /// Whether the whole machine is this peer's business.
    pub(crate) const fn sees_all(self) -> bool {
        self.sees_all
    }

    /// Whether pids and paths mean to it what they mean to the daemon.
    pub(crate) const fn is_foreign(self) -> bool {
        self.is_foreign
    }

    /// Whether it may see a process: its own, or one of a user namespace or in a
    /// cgroup of its own.
    pub(crate) fn sees(self, process: &Process, cgroup_owner: Option<u32>) -> bool {
        self.sees_user(process.uid, process.owners, cgroup_owner)
    }

    /// The same of a process of which only users are known.
    pub(crate) fn sees_user(
        self,
        uid: Option<u32>,
        owners: Option<Owners>,
        cgroup_owner: Option<u32>,
    ) -> bool {
        self.sees_uid(uid, cgroup_owner) || self.owns(owners)
    }

    fn owns(self, owners: Option<Owners>) -> bool {
        owners.is_some_and(|it| self.is(Some(it.own)) || self.is(Some(it.top)))
    }

    /// The same, of what is known of it otherwise.
    pub(crate) fn sees_uid(self, uid: Option<u32>, cgroup_owner: Option<u32>) -> bool {
        self.sees_all || self.is(uid) || self.is(cgroup_owner)
    }

    fn is(self, uid: Option<u32>) -> bool {
        uid.is_some() && uid == self.uid
    }
}

/// A peer that cannot be looked at is taken for one from elsewhere. `NSpid` has
/// a number for each namespace below the reader's (Linux 4.1).
fn is_foreign(credentials: &UCred) -> bool {
    let Some(pid) = credentials.pid().filter(|&pid| pid > 0) else {
        return true;
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let namespaces = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .map(|pids| pids.split_whitespace().count());
    namespaces != Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_another_namespace_is_no_root_here() {
        assert!(Peer::new(0, 990, false).sees_all());
        let contained = Peer::new(0, 990, true);
        assert!(!contained.sees_all());
        assert!(!contained.sees_uid(Some(0), Some(0)));
        assert!(!Peer::new(990, 990, true).sees_uid(Some(990), None));
        assert!(Peer::new(1000, 990, true).sees_uid(Some(1000), None));
        assert!(Peer::new(990, 990, false).sees_all());
        assert!(!Peer::new(1000, 990, false).sees_all());
    }

    #[test]
    fn a_user_sees_what_is_his_and_nothing_that_is_unknown() {
        let peer = Peer::new(1000, 0, false);
        assert!(peer.sees_uid(Some(1000), None));
        assert!(peer.sees_uid(Some(101_000), Some(1000)));
        assert!(!peer.sees_uid(Some(0), Some(0)));
        assert!(!peer.sees_uid(None, None));
    }
}
