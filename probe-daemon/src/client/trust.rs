//! The users that a client trusts to run the daemon, because every user can listen on a
//! socket of its own.

use std::{fs, path::Path};

use rustix::process::geteuid;

use super::ClientError;

/// The user that is trusted to run the daemon, besides root, the caller's own user and
/// the user `probe`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    /// Uid of a daemon that runs as another user.
    pub uid: Option<u32>,
}

/// The user that a packaged daemon runs as.
const USER: &str = "probe";

impl Trust {
    pub(super) fn check(self, socket: &Path, uid: u32) -> Result<(), ClientError> {
        let is_trusted = uid == 0
            || uid == geteuid().as_raw()
            || self.uid == Some(uid)
            || fs::read_to_string("/etc/passwd")
                .is_ok_and(|users| uid_of(&users, USER) == Some(uid));
        if is_trusted {
            return Ok(());
        }
        Err(ClientError::Untrusted {
            socket: socket.to_owned(),
            uid,
        })
    }
}

/// The uid of a user in `/etc/passwd`, with lines `name:password:uid:…`.
fn uid_of(users: &str, name: &str) -> Option<u32> {
    users
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| {
            let is_match = fields.next() == Some(name);
            is_match.then(|| fields.nth(1)?.parse().ok()).flatten()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_only_by_its_whole_name() {
        let users = "root:x:0:0::/:/bin/sh\nprobed:x:7:7::/:\nprobe:x:123:9::/:\nprobe:x:8:9::/:";
        assert_eq!(uid_of(users, "probe"), Some(123));
        assert_eq!(uid_of(users, "prob"), None);
        assert_eq!(uid_of("probe:x:-1:9", "probe"), None);
    }

    #[test]
    fn root_the_current_user_and_the_configured_user_are_trusted() {
        let trust = Trust {
            uid: Some(4_000_000),
        };
        let socket = Path::new("/x");
        for uid in [0, geteuid().as_raw(), 4_000_000] {
            assert!(trust.check(socket, uid).is_ok(), "{uid}");
        }
        let refused = Trust::default().check(socket, 4_000_000);
        assert!(matches!(
            refused,
            Err(ClientError::Untrusted { uid: 4_000_000, .. })
        ));
    }
}
