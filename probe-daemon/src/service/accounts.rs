//! Users and groups of `/etc/passwd` and `/etc/group`, by name or number.
//!
//! The daemon does not use the C library's name service: a static binary has none, and a
//! directory service in the network must not delay the start of the daemon.

use std::{fs, path::Path};

/// A user to run the daemon as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name or number in the configuration.
    pub name: String,
    /// Uid of the user.
    pub uid: u32,
    /// Primary group of the user; for a number without an entry the same number.
    pub gid: u32,
}

/// A group for the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name or number in the configuration.
    pub name: String,
    /// Gid of the group.
    pub gid: u32,
}

/// The contents of `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// The users and groups of this machine. An unreadable file counts as empty.
    #[must_use]
    pub fn system() -> Self {
        let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self {
            passwd: read("/etc/passwd"),
            group: read("/etc/group"),
        }
    }

    /// A user by name or number. A number needs no entry.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Account> {
        let entry = |uid, gid| Account {
            name: name.to_owned(),
            uid,
            gid,
        };
        let number = name.parse().ok();
        self.passwd
            .lines()
            .find_map(|line| {
                // name:password:uid:gid:…
                let mut fields = line.split(':');
                let listed = fields.next()?;
                let uid = fields.nth(1)?.parse().ok()?;
                let gid = fields.next()?.parse().ok()?;
                (listed == name || number == Some(uid)).then(|| entry(uid, gid))
            })
            .or_else(|| number.map(|uid| entry(uid, uid)))
    }

    /// A group by name or number. A number needs no entry.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<Group> {
        let listed = self.group.lines().find_map(|line| {
            // name:password:gid:members
            let mut fields = line.split(':');
            let is_match = fields.next()? == name;
            let gid = fields.nth(1)?.parse().ok()?;
            is_match.then_some(gid)
        });
        let gid = listed.or_else(|| name.parse().ok())?;
        Some(Group {
            name: name.to_owned(),
            gid,
        })
    }
}

#[cfg(test)]
impl Accounts {
    pub(crate) fn of(passwd: &str, group: &str) -> Self {
        Self {
            passwd: passwd.to_owned(),
            group: group.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::of(
            "root:x:0:0:root:/root:/bin/sh\nbroken\nprobe:x:990:991::/:/usr/sbin/nologin\n",
            "root:x:0:\nprobe:x:991:alice,bob\n",
        )
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        for name in ["probe", "990"] {
            let user = accounts().user(name).expect("listed");
            assert_eq!((user.uid, user.gid), (990, 991), "{name}");
        }
        assert_eq!(accounts().group("probe").expect("listed").gid, 991);
    }

    #[test]
    fn only_a_name_needs_an_entry() {
        let user = accounts().user("4242").expect("a number");
        assert_eq!((user.uid, user.gid), (4242, 4242));
        assert_eq!(accounts().group("4242").expect("a number").gid, 4242);
        for unknown in ["nobody-here", "", "-1", "prob", "alice"] {
            assert_eq!(accounts().user(unknown), None, "{unknown}");
            assert_eq!(accounts().group(unknown), None, "{unknown}");
        }
    }
}
