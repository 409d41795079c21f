//! User Mode Linux: a kernel that is a program, and that has no tracing.
//!
//! It runs in a guest, not on this machine: it panics on CPUs with more registers
//! than its builder knew, and a CPU that is emulated is the same everywhere.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{cpio::Cpio, initramfs};
use crate::checkout;

/// The row whose kernel runs it: one that `cargo xtask test` has anyway.
pub(super) const HOST: &str = "7.3";

/// It and its programs take turns. On two CPUs each turn wakes the other one,
/// which takes ten times as long.
pub(super) const CPUS: &str = "1";

/// What it loads, of the release that it is from.
pub(super) const LIBRARIES: [&str; 2] = ["libc.so.6", "ld-linux-x86-64.so.2"];

/// The first file system of the guest: UML, what starts it (`tests/src/bin/uml.rs`),
/// and the archive that is UML's own. Says where it is.
pub(super) fn pack(uml: &Path, init: &Path, initramfs: &Path) -> Result<PathBuf> {
    let path = checkout::target().join("vm/uml.cpio");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let mut cpio = Cpio::new(file);
    initramfs::skeleton(&mut cpio)?;
    cpio.program("init", init)?;
    cpio.program("uml", uml)?;
    cpio.program("initramfs.gz", initramfs)?;
    let mut libraries = initramfs::loaded(init)?;
    // Their newer namesakes serve both.
    libraries.retain(|it| LIBRARIES.iter().all(|name| !it.ends_with(name)));
    libraries.extend(LIBRARIES.map(|name| uml.with_file_name(name)));
    initramfs::add_libraries(&mut cpio, &libraries.into_iter().collect())?;
    cpio.finish().context("write the archive")?;
    Ok(path)
}
