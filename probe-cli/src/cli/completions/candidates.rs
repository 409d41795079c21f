//! The values that an argument may have on this machine. A completion prints no error: what
//! cannot be read has no candidates.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap_complete::CompletionCandidate;
use probe_user::{
    model::Signal,
    unstable::{
        cgroup::mounts::{self, Mounts},
        container::{Resolver, StateRoots},
        proc::{scan, send::is_sendable},
    },
};

use crate::{
    cli::{socket::Socket, terminal},
    output::human::{printable, short_id},
};

type Candidates = Vec<CompletionCandidate>;

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_millis(250);
/// More candidates than this help no user.
const MOST: usize = 1000;

fn candidate(value: impl Into<std::ffi::OsString>, help: impl Into<String>) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(help.into().into()))
}

/// The containers with live processes: by name, or by id if they have no name.
pub(super) fn containers() -> Candidates {
    let found = containers_of_daemon().unwrap_or_else(containers_of_proc);
    let of = |(name, runtime): (String, String)| candidate(name, runtime);
    found.into_iter().take(MOST).map(of).collect()
}

/// Asks a daemon, which may know more names than this user.
fn containers_of_daemon() -> Option<BTreeMap<String, String>> {
    let daemon = Socket::default().daemon().ok()?;
    let containers = crate::cli::runtime().ok()?.block_on(async {
        let mut client = daemon.connect(PATIENCE).await.ok()?;
        client.containers().await.ok()
    })?;
    let name = |id: &str, name: Option<&str>| name.unwrap_or_else(|| short_id(id)).to_owned();
    let named = containers
        .into_iter()
        .map(|it| (name(&it.id, it.name.as_deref()), it.runtime));
    Some(named.collect())
}

fn containers_of_proc() -> BTreeMap<String, String> {
    let roots = StateRoots::system(terminal::runtime_dir(), Vec::new());
    let mut resolver = Resolver::unwatched(roots);
    let mut names = BTreeMap::new();
    let found = scan::scan(false).into_iter().flatten();
    for found in found.filter_map(Result::ok) {
        let container = found
            .places()
            .find_map(|place| resolver.container_of(&place.path));
        if let Some(container) = container {
            let name = container.name.as_deref();
            let name = name.unwrap_or_else(|| short_id(&container.id)).to_owned();
            names.insert(name, container.runtime.as_str().to_owned());
        }
    }
    names
}

/// The units that have a cgroup.
pub(super) fn units() -> Candidates {
    let mounts = Mounts::read().unwrap_or_default();
    let by_systemd = |mount: &&mounts::Mount| {
        mount.hierarchy == 0 || mount.controllers.iter().any(|it| it == "name=systemd")
    };
    let mut units = BTreeMap::new();
    for mount in mounts.iter().filter(by_systemd) {
        // A cgroup that is removed during the walk is left out.
        let _partial = mounts::walk(mount, &mut |_, path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let is_unit = [".service", ".scope", ".slice"]
                .iter()
                .any(|kind| name.ends_with(kind));
            if is_unit {
                units.insert(name.to_owned(), path);
            }
        });
    }
    let of = |(name, path): (String, String)| candidate(name, printable(&path));
    units.into_iter().take(MOST).map(of).collect()
}

/// The cgroups below the directory that was typed so far, or the cgroup mounts. A path that is
/// not on a mount is one below the root of a hierarchy.
pub(super) fn cgroups(current: &OsStr) -> Candidates {
    let mounts = Mounts::read().unwrap_or_default();
    let bytes = current.as_bytes();
    let cut = bytes.iter().rposition(|&byte| byte == b'/');
    let typed = &bytes[..cut.map_or(0, |at| at + 1)];
    let typed = Path::new(OsStr::from_bytes(typed));
    let is_wanted = |it: &PathBuf| it.as_os_str().as_bytes().starts_with(bytes);
    if typed.is_absolute() && mounts.of_path(typed).is_none() {
        let points = mounts.iter().map(|mount| mount.mount_point.clone());
        return offered(points.filter(is_wanted));
    }
    let mut paths = BTreeMap::new();
    for mount in mounts.iter() {
        for child in directories(&mount.mount_point.join(typed)) {
            let path = child.file_name().map(|name| typed.join(name));
            if let Some(path) = path.filter(|it| is_wanted(it)) {
                *paths.entry(path).or_default() |= !directories(&child).is_empty();
            }
        }
    }
    // The slash shows that there is more below, and keeps the shell from adding a blank.
    let of = |(path, has_more): (PathBuf, bool)| if has_more { path.join("") } else { path };
    offered(paths.into_iter().take(MOST).map(of))
}

fn offered(paths: impl Iterator<Item = PathBuf>) -> Candidates {
    paths.map(CompletionCandidate::new).collect()
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten();
    let entries = entries.filter_map(Result::ok);
    let is_directory = |it: &fs::DirEntry| it.file_type().is_ok_and(|it| it.is_dir());
    entries.filter(is_directory).map(|it| it.path()).collect()
}

/// The pids of live processes, with their names.
pub(super) fn processes() -> Candidates {
    let found = scan::scan(false).into_iter().flatten();
    let live = found
        .filter_map(Result::ok)
        .filter(|it| !it.process.state.has_exited());
    let of = |it: scan::Found| {
        let name = printable(&it.process.comm.to_str());
        candidate(it.process.tgid.to_string(), name)
    };
    live.take(MOST).map(of).collect()
}

/// The names of the signals that can be sent, with `SIG` if that was typed.
pub(super) fn signals(current: &OsStr) -> Candidates {
    let current = current.to_string_lossy();
    let signals = (1..=64).map(Signal).filter(|&it| is_sendable(it));
    let of = |it: Signal| {
        let whole = it.name();
        let short = whole.strip_prefix("SIG").unwrap_or(&whole);
        let names = [short, &whole];
        let name = names.into_iter().find(|name| name.starts_with(&*current))?;
        Some(candidate(name.to_owned(), format!("signal {}", it.0)))
    };
    signals.filter_map(of).collect()
}

/// The names of the users of `/etc/passwd`.
pub(super) fn users() -> Candidates {
    let of = |(name, number): (String, String)| candidate(name, format!("uid {number}"));
    entries_of("/etc/passwd").into_iter().map(of).collect()
}

/// The names of the groups of `/etc/group`.
pub(super) fn groups() -> Candidates {
    let of = |(name, number): (String, String)| candidate(name, format!("gid {number}"));
    entries_of("/etc/group").into_iter().map(of).collect()
}

/// The names and numbers in a file with lines `name:password:number:…`.
fn entries_of(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        Some((name.to_owned(), number.to_owned()))
    };
    text.lines().filter_map(entry).take(MOST).collect()
}

/// `v2`, and the controllers of v1.
pub(super) fn hierarchies() -> Candidates {
    let mounts = Mounts::read().unwrap_or_default();
    let mut names = Vec::new();
    for mount in mounts.iter() {
        if mount.hierarchy == 0 {
            names.push("v2".to_owned());
        } else {
            names.extend(mount.controllers.iter().cloned());
        }
    }
    let of = |name: String| CompletionCandidate::new(name);
    names.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(candidates: &Candidates) -> Vec<String> {
        let value = |it: &CompletionCandidate| it.get_value().to_string_lossy().into_owned();
        candidates.iter().map(value).collect()
    }

    #[test]
    fn signals_have_names_with_and_without_sig() {
        let named = |typed: &str| values(&signals(OsStr::new(typed)));
        assert!(named("").contains(&"KILL".to_owned()));
        assert!(named("RTMIN+").contains(&"RTMIN+3".to_owned()));
        assert_eq!(named("SIGKI"), ["SIGKILL"]);
        assert_eq!(named("STO"), ["STOP"]);
    }

    #[test]
    fn this_process_and_root_are_offered() {
        let own = std::process::id().to_string();
        assert!(values(&processes()).contains(&own));
        assert!(values(&users()).contains(&"root".to_owned()));
    }
}
