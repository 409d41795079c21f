//! Waits for FUSE: the connection, the mount and the server.

use std::{fs, os::unix::ffi::OsStrExt, path::Path};

use super::{
    cause::{Cause, ProcessName},
    filesystem,
    observer::Observer,
    task::Task,
};
use crate::proc::directory::{Pids, ProcessDirectory};

const CONNECTIONS: &str = "/sys/fs/fuse/connections";

/// Functions in which a task waits for a FUSE server.
const WAITS: [&str; 4] = [
    "request_wait_answer",
    "fuse_get_req",
    "fuse_wait_on_page_writeback",
    "fuse_sync_writes",
];

/// The FUSE connections of this machine.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Connections of which requests wait for an answer, and those that this process may not ask;
    /// all of them if none can be asked.
    waiting: Vec<u32>,
    /// Whether `waiting` has every such connection of the machine. The mounts of this mount
    /// namespace are not all.
    is_complete: bool,
    /// Processes that have the device open, with their connection where the kernel shows it
    /// (Linux 6.16).
    servers: Vec<(ProcessName, Option<u32>)>,
}

/// The file that aborts a connection.
pub(super) fn abort_file(connection: u32) -> String {
    format!("{CONNECTIONS}/{connection}/abort")
}

/// The cause of a task that waits for a FUSE server.
pub(super) fn cause(task: &Task<'_>, observer: &Observer) -> Option<Cause> {
    if !task.is_in(&WAITS) {
        return None;
    }
    let file = filesystem::mount_of(task).filter(|it| it.fs_type.starts_with("fuse"));
    let connections = observer
        .connections
        .get_or_init(|| Connections::read(observer));
    let connection = match &file {
        Some(mount) => connection_of(&mount.majmin),
        None => match connections.waiting.as_slice() {
            [one] if connections.is_complete => Some(*one),
            _ => None,
        },
    };
    let mount = file.map(|it| it.mount_point.display().to_string());
    let mount = mount.or_else(|| mount_of(observer, connection?));
    Some(Cause::Fuse {
        connection,
        mount,
        servers: connections.servers_of(connection),
        candidates: connection.map_or_else(|| connections.waiting.clone(), |it| vec![it]),
    })
}

/// The connection of a mount with this device number. File systems without a block device have
/// the major number 0, and the kernel names the connection by the minor number.
fn connection_of(majmin: &str) -> Option<u32> {
    let (major, minor) = majmin.split_once(':')?;
    (major == "0").then(|| minor.parse().ok()).flatten()
}

/// Where a connection is mounted in the mount namespace of this process.
fn mount_of(observer: &Observer, connection: u32) -> Option<String> {
    let mut mounts = observer.mount_infos().iter();
    let found = mounts
        .find(|it| it.fs_type.starts_with("fuse") && connection_of(&it.majmin) == Some(connection));
    found.map(|it| it.mount_point.display().to_string())
}

impl Connections {
    fn read(observer: &Observer) -> Self {
        let mut all = Vec::new();
        let mut waiting = Vec::new();
        for entry in fs::read_dir(CONNECTIONS).into_iter().flatten().flatten() {
            let Some(number) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
                continue;
            };
            all.push(number);
            let requests = fs::read_to_string(entry.path().join("waiting"));
            // An unreadable number may be above 0.
            if requests.map_or(true, |it| it.trim() != "0") {
                waiting.push(number);
            }
        }
        // Without the file system of the connections the mounts tell which exist.
        let is_complete = !all.is_empty();
        if !is_complete {
            let mounts = observer.mount_infos().iter();
            let fuse =
                mounts.filter(|it| it.fs_type.starts_with("fuse") && it.fs_type != "fusectl");
            waiting = fuse.filter_map(|it| connection_of(&it.majmin)).collect();
            waiting.sort_unstable();
            waiting.dedup();
        }
        Self {
            waiting,
            is_complete,
            servers: servers(),
        }
    }

    /// The servers of a connection: those that the kernel names, otherwise every process that
    /// may be one.
    fn servers_of(&self, connection: Option<u32>) -> Vec<ProcessName> {
        let names = |is_wanted: &dyn Fn(Option<u32>) -> bool| {
            let servers = self.servers.iter().filter(|(_, own)| is_wanted(*own));
            servers.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let named = names(&|own| connection.is_some() && own == connection);
        if named.is_empty() {
            names(&|own| own.is_none())
        } else {
            named
        }
    }
}

/// The processes that have `/dev/fuse` open.
fn servers() -> Vec<(ProcessName, Option<u32>)> {
    let Ok(pids) = Pids::list() else {
        return Vec::new();
    };
    let servers = pids.flatten().filter_map(|pid| {
        let directory = ProcessDirectory::open(pid).ok()?;
        let descriptor = device(pid)?;
        let info = directory.content(format!("fdinfo/{descriptor}"));
        let connection = info.ok().and_then(|it| {
            let text = String::from_utf8_lossy(&it).into_owned();
            let line = text
                .lines()
                .find_map(|it| it.strip_prefix("fuse_connection:"))?;
            line.trim().parse().ok()
        });
        Some((Observer::read_name(pid)?, connection))
    });
    servers.collect()
}

/// A descriptor of a process for the device. Reading a link does not touch the file.
fn device(pid: u32) -> Option<String> {
    let directory = Path::new("/proc").join(pid.to_string()).join("fd");
    let mut entries = fs::read_dir(directory).ok()?.flatten();
    let found = entries.find(|it| {
        fs::read_link(it.path()).is_ok_and(|it| it.as_os_str().as_bytes() == b"/dev/fuse")
    })?;
    found.file_name().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_the_minor_number_of_an_anonymous_device() {
        assert_eq!(connection_of("0:46"), Some(46));
        assert_eq!(connection_of("8:1"), None);
    }

    #[test]
    fn a_server_that_the_kernel_names_excludes_the_others() {
        let name = |pid| ProcessName {
            pid,
            comm: "s".to_owned(),
            state: 'S',
            wchan: None,
        };
        let pids = |connections: &Connections, connection| {
            let servers = connections.servers_of(connection);
            servers.iter().map(|it| it.pid).collect::<Vec<_>>()
        };
        let mut connections = Connections {
            waiting: vec![46, 47],
            is_complete: true,
            servers: vec![(name(1), Some(46)), (name(2), Some(47))],
        };
        assert_eq!(pids(&connections, Some(47)), [2]);
        assert!(pids(&connections, None).is_empty());
        connections.servers = vec![(name(1), None), (name(2), None)];
        assert_eq!(pids(&connections, Some(47)), [1, 2]);
    }
}
