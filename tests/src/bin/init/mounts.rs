//! What a machine has mounted.

use std::{
    env,
    ffi::{CStr, CString},
    fs,
    os::unix::fs::symlink,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::{
    mount::{MountFlags, mount, mount_bind, mount_move},
    process::chroot,
};

/// Hierarchies of v1 beside v2, as machines have them that need both: what the
/// tests name, and what runc does not start without. Unless others are asked for.
pub(crate) const V1: &str = "pids,freezer,memory,devices";

const CGROUPS: &str = "/sys/fs/cgroup";

/// A root that containers can leave: the first one of a kernel cannot be moved
/// away, a mount of the same files on top of it can.
pub(crate) fn root() -> Result<()> {
    mount_bind("/", "/root").context("mount the root once more")?;
    env::set_current_dir("/root").context("go to the new root")?;
    mount_move(".", "/").context("put it above the old one")?;
    chroot(".").context("make it the root")?;
    env::set_current_dir("/").context("go to the root")
}

/// All but cgroups; says what this kernel refuses.
pub(crate) fn mounts() -> Result<Vec<String>> {
    for (kind, point) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
    ] {
        mount_at(kind, point, None)?;
    }
    let mut refused = Vec::new();
    for (kind, point) in [
        ("securityfs", "/sys/kernel/security"),
        ("tracefs", "/sys/kernel/tracing"),
    ] {
        if Path::new(point).is_dir()
            && let Err(error) = mount_at(kind, point, None)
        {
            refused.push(format!("{error:#}"));
        }
    }
    for (name, of) in [
        ("fd", ""),
        ("stdin", "/0"),
        ("stdout", "/1"),
        ("stderr", "/2"),
    ] {
        let link = Path::new("/dev").join(name);
        symlink(format!("/proc/self/fd{of}"), &link)
            .with_context(|| format!("link {}", link.display()))?;
    }
    Ok(refused)
}

/// Cgroups of both versions, with these hierarchies of v1, or of v2 alone if there
/// are none, with every controller; says what this kernel refuses.
pub(crate) fn cgroups(v1: &str) -> Result<Vec<String>> {
    if v1.is_empty() {
        return v2_alone().map(|()| Vec::new());
    }
    mount_at("tmpfs", CGROUPS, None)?;
    mount_at("cgroup2", &format!("{CGROUPS}/unified"), None)?;
    Ok(v1.split(',').filter_map(missing_v1).collect())
}

fn v2_alone() -> Result<()> {
    mount_at("cgroup2", CGROUPS, None)?;
    let file = |name: &str| Path::new(CGROUPS).join(name);
    let controllers = fs::read_to_string(file("cgroup.controllers"));
    let controllers = controllers.context("read the controllers")?;
    for controller in controllers.split_whitespace() {
        fs::write(file("cgroup.subtree_control"), format!("+{controller}"))
            .with_context(|| format!("enable {controller}"))?;
    }
    Ok(())
}

/// Mounts a hierarchy of v1, of a controller or `name=…`; or says that this kernel
/// refuses it.
fn missing_v1(controller: &str) -> Option<String> {
    let (point, data) = match controller.strip_prefix("name=") {
        Some(name) => (name, format!("none,{controller}")),
        None => (controller, controller.to_owned()),
    };
    let data = CString::new(data).ok()?;
    let mounted = mount_at("cgroup", &format!("{CGROUPS}/{point}"), Some(&data));
    mounted
        .is_err()
        .then(|| format!("no v1 hierarchy of {controller} here"))
}

fn mount_at(kind: &str, point: &str, data: Option<&CStr>) -> Result<()> {
    fs::create_dir_all(point).with_context(|| format!("make {point}"))?;
    mount(kind, point, kind, MountFlags::empty(), data)
        .with_context(|| format!("mount {kind} at {point}"))
}
