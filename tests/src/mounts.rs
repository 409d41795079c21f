//! What pid 1 of a virtual machine mounts.

use std::{
    ffi::{CStr, CString},
    fs,
    os::unix::fs::symlink,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};

const CGROUPS: &str = "/sys/fs/cgroup";

/// A root that containers can leave: the first one of a kernel cannot be moved
/// away, a mount of the same files on top of it can.
///
/// # Errors
///
/// If the kernel refuses.
pub fn root() -> Result<()> {
    mount_bind("/", "/root").context("mount the root once more")?;
    std::env::set_current_dir("/root").context("go to the new root")?;
    mount_move(".", "/").context("put it above the old one")?;
    rustix::process::chroot(".").context("make it the root")?;
    std::env::set_current_dir("/").context("go to the root")
}

/// Mounts what a machine has; says what this kernel refuses.
///
/// # Errors
///
/// If the kernel refuses.
pub fn of_machine() -> Result<Vec<String>> {
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
    let mut missing = Vec::new();
    for (kind, point) in [
        ("securityfs", "/sys/kernel/security"),
        ("tracefs", "/sys/kernel/tracing"),
    ] {
        if Path::new(point).is_dir()
            && let Err(error) = mount_at(kind, point, None)
        {
            missing.push(format!("{error:#}"));
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
    Ok(missing)
}

/// Cgroups of v2 alone.
///
/// # Errors
///
/// If the kernel refuses.
pub fn cgroups_of_v2() -> Result<()> {
    mount_at("cgroup2", CGROUPS, None)?;
    enable_controllers(CGROUPS)
}

/// Of both versions; says which hierarchies of v1 this kernel refuses.
///
/// # Errors
///
/// If the kernel refuses.
pub fn cgroups(v1: &str) -> Result<Vec<String>> {
    mount_at("tmpfs", CGROUPS, None)?;
    let missing = v1.split(',').filter_map(missing_v1).collect();
    let unified = format!("{CGROUPS}/unified");
    mount_at("cgroup2", &unified, None)?;
    enable_controllers(&unified)?;
    Ok(missing)
}

/// Every one that v1 has left to v2.
fn enable_controllers(root: &str) -> Result<()> {
    let file = |name: &str| Path::new(root).join(name);
    let controllers = fs::read_to_string(file("cgroup.controllers"));
    for controller in controllers
        .context("read the controllers")?
        .split_whitespace()
    {
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
    let point = format!("{CGROUPS}/{point}");
    let data = CString::new(data).ok()?;
    let mounted = mount_at("cgroup", &point, Some(&data));
    mounted
        .is_err()
        .then(|| format!("no v1 hierarchy of {controller} here"))
}

/// Mounts a file system, whose directory need not be there yet.
///
/// # Errors
///
/// If the directory cannot be made, or the kernel refuses.
pub fn mount_at(kind: &str, point: &str, data: Option<&CStr>) -> Result<()> {
    fs::create_dir_all(point).with_context(|| format!("make {point}"))?;
    mount(kind, point, kind, MountFlags::empty(), data)
        .with_context(|| format!("mount {kind} at {point}"))
}
