//! Describes a container by its monitor, which is the parent of its init process: conmon, or a
//! shim of containerd. Every user may read the command line of a process, even if the state of
//! the engine is secret.

use std::path::Path;

use super::{evidence::Evidence, runtime::bundle::Described};
use crate::model::Runtime;

/// The description of the container with this id and cgroup. A monitor of another user than
/// root and the owner of the cgroup is ignored, because any user can run a program of any name.
pub(super) fn describe(evidence: &Evidence, id: &str, cgroup: &str) -> Option<Described> {
    /// The number of members that are looked at. The init process is one of the first.
    const MAX_MEMBERS: usize = 16;
    let owner = evidence.cgroup_owner(None, cgroup)?;
    let mounts = evidence.mounts.iter();
    let cgroups: Vec<_> = mounts.map(|it| (it.hierarchy, cgroup.to_owned())).collect();
    let members = evidence.members(&cgroups);
    members.into_iter().take(MAX_MEMBERS).find_map(|pid| {
        let (uid, arguments) = evidence.parent(pid)?;
        let is_trusted = uid == 0 || uid == owner.directory || uid == owner.parent;
        is_trusted.then(|| described(&arguments, id))?
    })
}

fn described(arguments: &[String], id: &str) -> Option<Described> {
    let program = Path::new(arguments.first()?).file_name()?.to_str()?;
    let after = |option: &str| {
        let at = arguments.iter().position(|it| it == option)?;
        arguments.get(at + 1)
    };
    // https://github.com/containers/podman/blob/c6580b4a5219c9efb9ab79a540637d8a58b736f8/libpod/oci_conmon_common.go#L1261-L1284
    if program == "conmon" {
        let is_podmans = arguments.iter().any(|it| it.ends_with("/podman"));
        let is_containers = after("-c").is_some_and(|it| it == id);
        return (is_podmans && is_containers).then(|| Described {
            runtime: Some(Runtime::Podman),
            name: after("-n").cloned(),
            ..Described::default()
        });
    }
    if !program.starts_with("containerd-shim") {
        return None;
    }
    // `moby` is Docker's namespace in containerd.
    let runtime = match after("-namespace")?.as_str() {
        "moby" => Runtime::Docker,
        _ => Runtime::Containerd,
    };
    Some(Described {
        runtime: Some(runtime),
        ..Described::default()
    })
}
