//! The peer of a connection and what it may see.

use probe_user::{
    model::{Owners, Process},
    unstable::proc::{directory::ProcessDirectory, status::Status},
};
use tokio::net::{UnixStream, unix::UCred};

/// The other end of a connection, by the credentials that the kernel recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The user whose processes it may see.
    uid: Option<u32>,
    /// Whether it is root or the daemon's own user.
    sees_all: bool,
    /// Whether it is in another pid namespace, where pids and paths mean something else.
    is_foreign: bool,
    /// Its pid, if it has one in the daemon's pid namespace.
    pid: Option<u32>,
}

impl Peer {
    /// The process that connected the socket (`SO_PEERCRED`).
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
        let is_privileged = uid == 0 || uid == own;
        Self {
            // Root in another pid namespace is root of a container, not of the
            // machine, even with uid 0.
            uid: (!is_foreign || !is_privileged).then_some(uid),
            sees_all: !is_foreign && is_privileged,
            is_foreign,
            pid: None,
        }
    }

    /// Its pid, for reading the mounts that it sees.
    pub(crate) const fn pid(self) -> Option<u32> {
        self.pid
    }

    /// Whether it may see every process of the machine.
    pub(crate) const fn sees_all(self) -> bool {
        self.sees_all
    }

    /// Whether its pids and paths mean something else than the daemon's.
    pub(crate) const fn is_foreign(self) -> bool {
        self.is_foreign
    }

    /// Whether it may see a process: one of its own user, of a user namespace that
    /// its user owns, or in a cgroup that its user owns.
    pub(crate) fn sees(self, process: &Process, cgroup_owner: Option<u32>) -> bool {
        self.sees_user(process.uid, process.owners, cgroup_owner)
    }

    /// The same for a process of which only the users are known.
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

    /// The same without the owners of the user namespace.
    pub(crate) fn sees_uid(self, uid: Option<u32>, cgroup_owner: Option<u32>) -> bool {
        self.sees_all || self.is(uid) || self.is(cgroup_owner)
    }

    fn is(self, uid: Option<u32>) -> bool {
        uid.is_some() && uid == self.uid
    }
}

/// Whether the peer is in another pid namespace; yes if its status cannot be read.
/// `NSpid` has a number for each namespace below the reader's (Linux 4.1).
fn is_foreign(credentials: &UCred) -> bool {
    let Some(pid) = credentials.pid().filter(|&pid| pid > 0) else {
        return true;
    };
    let status = ProcessDirectory::open(pid.cast_unsigned()).and_then(|it| it.content("status"));
    Status::new(&status.unwrap_or_default()).ns_pids().count() != 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_another_pid_namespace_is_not_privileged() {
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
    fn a_user_sees_its_own_processes_and_none_of_unknown_owner() {
        let peer = Peer::new(1000, 0, false);
        assert!(peer.sees_uid(Some(1000), None));
        assert!(peer.sees_uid(Some(101_000), Some(1000)));
        assert!(!peer.sees_uid(Some(0), Some(0)));
        assert!(!peer.sees_uid(None, None));
    }
}
