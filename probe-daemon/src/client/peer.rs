//! Whose word is taken: whoever can make a socket can speak on it.

use std::{fs, path::Path};

use rustix::process::geteuid;

use super::ClientError;

/// Who is believed besides root, ourselves and the user `probe`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    /// The daemon's user, where that is another one.
    pub uid: Option<u32>,
}

/// The user that a daemon runs as unless somebody decides otherwise.
const USER: &str = "probe";

impl Trust {
    pub(super) fn check(self, socket: &Path, uid: u32) -> Result<(), ClientError> {
        let is_believed = uid == 0
            || uid == geteuid().as_raw()
            || self.uid == Some(uid)
            || fs::read_to_string("/etc/passwd")
                .is_ok_and(|users| uid_of(&users, USER) == Some(uid));
        if is_believed {
            return Ok(());
        }
        Err(ClientError::Stranger {
            socket: socket.to_owned(),
            uid,
        })
    }
}

/// `name:password:uid:…`
fn uid_of(users: &str, name: &str) -> Option<u32> {
    users
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| {
            let is_it = fields.next() == Some(name);
            is_it.then(|| fields.nth(1)?.parse().ok()).flatten()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/:/bin/sh\nprobed:x:7:7::/:\nprobe:x:123:9::/:\nprobe:x:8:9::/:";
        assert_eq!(uid_of(users, "probe"), Some(123));
        assert_eq!(uid_of(users, "prob"), None);
        assert_eq!(uid_of("probe:x:-1:9", "probe"), None);
    }

    #[test]
    fn root_ourselves_and_the_configured_user_are_believed() {
        let trust = Trust {
            uid: Some(4_000_000),
        };
        let socket = Path::new("/x");
        for uid in [0, geteuid().as_raw(), 4_000_000] {
            assert!(trust.check(socket, uid).is_ok(), "{uid}");
        }
        let stranger = Trust::default().check(socket, 4_000_000);
        assert!(matches!(
            stranger,
            Err(ClientError::Stranger { uid: 4_000_000, .. })
        ));
    }
}
