//! Finds out which processes `/proc` shows to this process.
//!
//! `/proc` may belong to another pid namespace, as after `unshare --pid` without a new mount.
//! Its numbers are then those of other processes, so no file of `/proc/PID` is read. And a
//! mount with `hidepid=` does not show the processes of other users. In both cases a process
//! that `/proc` does not show may well be alive.

use std::{io, sync::OnceLock};

use super::{
    directory::ProcessDirectory, stat::number, status::Status, user_namespace::is_in_initial,
};

/// `/proc` does not show the processes of the pid namespace of this process.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("/proc belongs to another pid namespace")]
pub struct ForeignProc;

/// Refuses a `/proc` of another pid namespace.
pub(super) fn check_namespace() -> io::Result<()> {
    if is_own() {
        Ok(())
    } else {
        Err(io::Error::other(ForeignProc))
    }
}

/// Whether `/proc` belongs to the pid namespace of this process, which never changes.
#[must_use]
pub fn is_own() -> bool {
    static OWN: OnceLock<bool> = OnceLock::new();
    *OWN.get_or_init(|| {
        let own = std::process::id();
        let status = ProcessDirectory::own().and_then(|it| it.content("status"));
        let Ok(status) = status else {
            // `/proc/self` is a broken link in a namespace that does not have this process.
            return false;
        };
        let status = Status::new(&status);
        let mut pids = status.ns_pids();
        match pids.next() {
            Some(first) => first == own && pids.next().is_none(),
            // Before Linux 4.1.
            None => status.tgid() == Some(own),
        }
    })
}

/// Whether a scan of `/proc` may lack processes, because the mount hides those of other users
/// from this process. True if that is unknown.
pub(super) fn hides_processes() -> bool {
    may_hide().unwrap_or(true)
}

fn may_hide() -> io::Result<bool> {
    /// Lets a process see all others.
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    let own = ProcessDirectory::own()?;
    let mounts = own.content("mountinfo")?;
    let Some(mount) = ProcMount::parse(&mounts) else {
        return Ok(true);
    };
    let status = own.content("status")?;
    let status = Status::new(&status);
    let capabilities = status.effective_capabilities().unwrap_or(0);
    let is_privileged = || capabilities & CAP_SYS_PTRACE != 0 && is_in_initial(&own);
    Ok(match mount.hidden {
        Hidden::None => false,
        // Members of the group see every process.
        Hidden::FromOthers => {
            let is_member = mount.group.is_some_and(|it| status.is_in_group(it));
            !is_member && !is_privileged()
        }
        Hidden::FromNonTracers => !is_privileged(),
    })
}

/// The processes that a mount does not show, or of which it shows no files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    None,
    /// `hidepid=1` and `hidepid=2`.
    FromOthers,
    /// `hidepid=4`.
    FromNonTracers,
}

/// The options of the mount at `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcMount {
    hidden: Hidden,
    /// The group that sees every process.
    group: Option<u32>,
}

impl ProcMount {
    /// Parses `mountinfo`, as bytes, because mount points need not be UTF-8. `None` if `/proc`
    /// is no mount point.
    fn parse(mountinfo: &[u8]) -> Option<Self> {
        let lines = mountinfo.split(|&byte| byte == b'\n');
        // A later mount covers an earlier one.
        lines.rev().find_map(Self::parse_line)
    }

    fn parse_line(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        if fields.nth(4)? != b"/proc" {
            return None;
        }
        fields.find(|field| *field == b"-")?;
        let options = fields.nth(2)?;
        let mut mount = Self {
            hidden: Hidden::None,
            group: Some(0),
        };
        for option in options.split(|&byte| byte == b',') {
            if let Some(level) = option.strip_prefix(b"hidepid=") {
                mount.hidden = match level {
                    b"0" | b"off" => Hidden::None,
                    b"1" | b"noaccess" | b"2" | b"invisible" => Hidden::FromOthers,
                    _ => Hidden::FromNonTracers,
                };
            } else if let Some(group) = option.strip_prefix(b"gid=") {
                mount.group = number(group);
            }
        }
        Some(mount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_at_proc_decides() {
        let line =
            |options: &str| format!("22 1 0:5 / /proc rw,nosuid shared:1 - proc proc {options}\n");
        let parse = |text: &str| ProcMount::parse(text.as_bytes());
        let mount = |hidden, group| {
            Some(ProcMount {
                hidden,
                group: Some(group),
            })
        };
        assert_eq!(parse(""), None);
        assert_eq!(parse(&line("rw")), mount(Hidden::None, 0));
        assert_eq!(parse(&line("rw,hidepid=2")), mount(Hidden::FromOthers, 0));
        assert_eq!(
            parse(&line("rw,gid=7,hidepid=invisible")),
            mount(Hidden::FromOthers, 7)
        );
        assert_eq!(
            parse(&line("rw,hidepid=ptraceable")),
            mount(Hidden::FromNonTracers, 0)
        );
        let covered = [line("rw"), line("rw,hidepid=1")].concat();
        assert_eq!(parse(&covered), mount(Hidden::FromOthers, 0));
        let beside = [
            &line("rw"),
            "23 1 0:6 / /proc/sys rw - proc proc rw,hidepid=2\n",
        ]
        .concat();
        assert_eq!(parse(&beside), mount(Hidden::None, 0));
    }

    #[test]
    fn a_mount_point_that_is_not_utf_8_is_no_obstacle() {
        let text = b"22 1 0:5 / /proc rw - proc proc rw\n23 1 0:9 / /m\xff rw - fuse x rw\n";
        assert!(ProcMount::parse(text).is_some());
    }
}
