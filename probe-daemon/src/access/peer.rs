//! The peer of a connection, and the processes that it may see.

use probe_user::{
    model::{Exit, Owners, Placed},
    unstable::proc::{directory::ProcessDirectory, status::Status},
};
use tokio::net::{UnixStream, unix::UCred};

use super::ownership::CgroupOwners;

/// The client of a connection, by the credentials that the kernel recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Uid of the peer; `None` for a privileged uid in another pid namespace.
    uid: Option<u32>,
    /// Whether the peer is root or the daemon's own user.
    sees_all: bool,
    /// Whether the peer is in another pid namespace, where pids and paths differ.
    is_foreign: bool,
    /// Pid of the peer in the daemon's pid namespace, if it has one there.
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
            // Uid 0 in another pid namespace is root of a container, not of the machine.
            uid: (!is_foreign || !is_privileged).then_some(uid),
            sees_all: !is_foreign && is_privileged,
            is_foreign,
            pid: None,
        }
    }

    /// Pid of the peer, for reading its mounts.
    pub(crate) const fn pid(self) -> Option<u32> {
        self.pid
    }

    /// Whether the peer may see every process of the machine.
    pub(crate) const fn sees_all(self) -> bool {
        self.sees_all
    }

    /// Whether the peer's pids and paths differ from the daemon's.
    pub(crate) const fn is_foreign(self) -> bool {
        self.is_foreign
    }

    /// Whether the peer may see an exit: of a process of the peer's user, of a user namespace
    /// that this user owns, or in a cgroup that this user owns.
    pub(crate) fn sees(self, exit: &Placed<Exit>, owners: &CgroupOwners) -> bool {
        let process = &exit.what.process;
        let in_own_cgroup = || exit.cgroups().any(|it| self.is(owners.of(it)));
        self.sees_user(process.uid, process.owners, None) || in_own_cgroup()
    }

    /// As [`Peer::sees`], for a process of which only the users are known.
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

    /// As [`Peer::sees`], without the owners of the user namespace.
    pub(crate) fn sees_uid(self, uid: Option<u32>, cgroup_owner: Option<u32>) -> bool {
        self.sees_all || self.is(uid) || self.is(cgroup_owner)
    }

    fn is(self, uid: Option<u32>) -> bool {
        uid.is_some() && uid == self.uid
    }
}

/// Whether the peer is in another pid namespace; true if its status cannot be read.
/// `NSpid` lists the pid in the reader's namespace and in each one below (Linux 4.1).
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
    fn a_user_sees_its_own_processes_and_no_process_of_unknown_owner() {
        let peer = Peer::new(1000, 0, false);
        assert!(peer.sees_uid(Some(1000), None));
        assert!(peer.sees_uid(Some(101_000), Some(1000)));
        assert!(!peer.sees_uid(Some(0), Some(0)));
        assert!(!peer.sees_uid(None, None));
    }
}
