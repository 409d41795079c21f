//! Makes an aya loader that does not parse the kernel's BTF.
//!
//! `EbpfLoader::new` reads and parses all of the BTF, before `btf(None)` can turn that
//! off (aya 0.14). This takes 20 ms and 14 MB, for relocations that Rust programs do not
//! have. If the file cannot be opened, aya works without it. So the loader is made by a
//! thread that may open no file: a seccomp filter binds the thread that installs it and
//! ends with that thread.

use std::thread;

use aya::EbpfLoader;
use tracing::debug;

/// Makes a loader. Where seccomp is not available, it parses the BTF needlessly.
pub(super) fn without_btf() -> EbpfLoader<'static> {
    let make = || {
        if let Err(error) = forbid_open() {
            debug!(%error, "no seccomp filter: aya parses the kernel's BTF needlessly");
        }
        new_loader()
    };
    let thread = thread::Builder::new().name("loader".to_owned()).spawn(make);
    thread
        .ok()
        .and_then(|thread| thread.join().ok())
        .unwrap_or_else(new_loader)
}

fn new_loader() -> EbpfLoader<'static> {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    loader
}

/// Makes every later attempt of this thread to open a file fail.
#[cfg(target_endian = "little")]
fn forbid_open() -> Result<(), seccompiler::Error> {
    use std::{collections::BTreeMap, env::consts::ARCH};

    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

    let calls = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        libc::SYS_openat,
    ];
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let absent = SeccompAction::Errno(libc::ENOENT.cast_unsigned());
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        absent,
        TargetArch::try_from(ARCH)?,
    )?;
    apply_filter(&BpfProgram::try_from(filter)?)
}

#[cfg(target_endian = "big")]
fn forbid_open() -> Result<(), &'static str> {
    Err("seccompiler does not support big-endian machines")
}
