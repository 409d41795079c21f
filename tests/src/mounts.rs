//! File systems that pid 1 of a virtual machine mounts.

use std::{
    ffi::{CStr, CString},
    fs,
    os::unix::fs::symlink,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};

const CGROUPS: &str = "/sys/fs/cgroup";

/// Mounts the root directory on top of itself. `pivot_root`, which containers need, works with
/// this mount but not with the initial one.
///
/// # Errors
///
/// If the kernel refuses.
pub fn root() -> Result<()> {
    mount_bind("/", "/root").context("bind-mount the root directory")?;
    std::env::set_current_dir("/root").context("enter the new root directory")?;
    mount_move(".", "/").context("move it to /")?;
    rustix::process::chroot(".").context("change the root directory")?;
    std::env::set_current_dir("/").context("enter the root directory")
}

/// Mounts the usual file systems; returns messages for those that this kernel refuses.
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

/// Mounts cgroup v2 alone.
///
/// # Errors
///
/// If the kernel refuses.
pub fn cgroups_of_v2() -> Result<()> {
    mount_at("cgroup2", CGROUPS, None)?;
    enable_controllers(CGROUPS)
}

/// Mounts cgroup v1 hierarchies and v2; returns messages for the v1 hierarchies that this
/// kernel refuses.
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

/// Enables every controller that no v1 hierarchy uses.
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

/// Mounts a v1 hierarchy with a controller or `name=…`. Returns a message if this kernel
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
        .then(|| format!("this kernel has no v1 hierarchy with {controller}"))
}

/// Mounts a file system, and creates the mount point.
///
/// # Errors
///
/// If the directory cannot be created, or the kernel refuses the mount.
pub fn mount_at(kind: &str, point: &str, data: Option<&CStr>) -> Result<()> {
    fs::create_dir_all(point).with_context(|| format!("make {point}"))?;
    mount(kind, point, kind, MountFlags::empty(), data)
        .with_context(|| format!("mount {kind} at {point}"))
}
