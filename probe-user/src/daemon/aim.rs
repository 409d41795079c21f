//! From what a request names to what is meant: a cgroup or a process that is
//! there, by identity.
//!
//! The daemon is no deputy: it opens no path as a client wrote it. A path is
//! taken apart, resolved below a cgroup mount without following any link, and
//! what it leads to is opened by the daemon's own name for it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, open, openat2},
    io::Errno,
};

use super::{peer::Peer, refusal::Refusal, state::State};
use crate::{
    cgroup::CgroupId,
    container::{FindError, Found},
    source::cgroupfs::{self, Mount},
};

/// For a peer whose names mean something else.
const BY_IDENTITY: &str = "ask by identity: {\"cgroup\": {\"hierarchy\", \"id\"}}";

/// A cgroup by name: it need not exist any more.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) mount: Mount,
    pub(super) directory: PathBuf,
    /// Path below the root of the hierarchy.
    pub(super) path: String,
}

impl Place {
    /// Whose the directory is; `None` if it is gone.
    pub(super) fn owner(&self) -> Option<u32> {
        fs::symlink_metadata(&self.directory)
            .ok()
            .map(|it| it.uid())
    }

    /// Which cgroup is there now.
    pub(super) fn resolve(&self) -> Result<CgroupId, Refusal> {
        const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let gone = |errno: Errno| {
            let detail = format!("no cgroup {}: {errno}", self.directory.display());
            Refusal::not_found(detail)
        };
        let below = self.directory.strip_prefix(&self.mount.mount_point);
        let below = below.unwrap_or(Path::new("."));
        let below = if below.as_os_str().is_empty() {
            Path::new(".")
        } else {
            below
        };
        let top = open(&self.mount.mount_point, PATH, Mode::empty()).map_err(gone)?;
        let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let found = openat2(&top, below, PATH, Mode::empty(), rules).map_err(gone)?;
        let id = rustix::fs::fstat(&found).map_err(gone)?.st_ino;
        Ok(CgroupId {
            hierarchy: self.mount.hierarchy,
            id,
        })
    }
}

/// The cgroup that a directory of a cgroup mount is.
pub(super) fn directory(state: &mut State, peer: Peer, path: &str) -> Result<Place, Refusal> {
    refuse_foreign(peer, "a path")?;
    let place = place(state.places.mounts(), path)?;
    if state.views.lead_to(peer, &place) {
        return Ok(place);
    }
    let detail = format!("'{path}' leads to another place where you are");
    Err(Refusal::bad(detail).hint(BY_IDENTITY))
}

fn place(mounts: &[Mount], path: &str) -> Result<Place, Refusal> {
    let wrong = |what: &str| Refusal::bad(format!("'{}' {what}", path.escape_debug()));
    let directory = Path::new(path);
    let is_plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    if path.chars().any(char::is_control) {
        return Err(wrong("has a control character: no cgroup is called so"));
    }
    if !directory.is_absolute() || !directory.components().all(is_plain) {
        return Err(wrong("is no absolute path without `..`"));
    }
    let mount = mounts
        .iter()
        .filter(|mount| directory.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.as_os_str().len());
    let found = mount.and_then(|mount| Some((mount, cgroupfs::path_below(mount, directory)?)));
    let (mount, path) = found.ok_or_else(|| {
        wrong("is on no cgroup mount").hint("give a directory such as /sys/fs/cgroup/a/b")
    })?;
    Ok(Place {
        mount: mount.clone(),
        directory: directory.to_owned(),
        path,
    })
}

/// The directory that is opened for a path, and the cgroup's own path: for the
/// fuzz targets.
pub(crate) fn fuzzed(mounts: &[Mount], path: &str) -> Option<(PathBuf, String)> {
    let Place {
        directory, path, ..
    } = place(mounts, path).ok()?;
    Some((directory, path))
}

/// The cgroup that has this identity, if the daemon knows where it lies.
pub(super) fn identity(state: &State, id: CgroupId) -> Result<Place, Refusal> {
    let path = state.tracker.path(id);
    let place = path.and_then(|path| at(state.places.mounts(), id.hierarchy, &path));
    place.ok_or_else(|| {
        let CgroupId { hierarchy, id } = id;
        Refusal::not_found(format!("no cgroup {id} in hierarchy {hierarchy}"))
    })
}

/// The cgroup at a path below the root of its hierarchy.
pub(super) fn at(mounts: &[Mount], hierarchy: u32, path: &str) -> Option<Place> {
    let mut mounts = mounts.iter().filter(|it| it.hierarchy == hierarchy);
    mounts.find_map(|mount| {
        let below = Path::new(path).strip_prefix(&mount.root).ok()?;
        Some(Place {
            mount: mount.clone(),
            directory: mount.mount_point.join(below),
            path: path.to_owned(),
        })
    })
}

/// A container and its cgroups. One that is not the peer's is not there.
pub(super) fn container(
    state: &mut State,
    peer: Peer,
    name: &str,
) -> Result<(Found, Vec<Place>), Refusal> {
    let known = state.tracker.places();
    let known: Vec<_> = known
        .map(|(id, path)| (id.hierarchy, path.to_string()))
        .collect();
    let unknown = || Refusal::not_found(format!("no container '{}'", name.escape_debug()));
    let mounts = state.places.mounts().to_vec();
    let is_seen = |cgroups: &[(u32, String)]| {
        let mut places = places(&mounts, cgroups);
        peer.sees_all() || places.any(|it| peer.sees_uid(None, it.owner()))
    };
    let found = state
        .places
        .find(name, &known, is_seen)
        .map_err(|error| match error {
            FindError::Unknown { .. } => unknown(),
            error @ FindError::Ambiguous { .. } => {
                Refusal::bad(error.to_string()).hint("give more of its id")
            }
        })?;
    let places = places(&mounts, &found.cgroups).collect();
    Ok((found, places))
}

fn places(mounts: &[Mount], cgroups: &[(u32, String)]) -> impl Iterator<Item = Place> {
    let cgroups = cgroups.iter();
    cgroups.filter_map(|(hierarchy, path)| at(mounts, *hierarchy, path))
}

/// Pids and paths of another namespace mean something else there.
pub(super) fn refuse_foreign(peer: Peer, what: &str) -> Result<(), Refusal> {
    if !peer.is_foreign() {
        return Ok(());
    }
    let detail = format!("{what} of another pid namespace means nothing here");
    Err(Refusal::bad(detail).hint(BY_IDENTITY))
}
