//! An aya loader that knows nothing of the kernel's BTF.
//!
//! `EbpfLoader::new` reads and parses all of it, 20 ms and 14 MB for relocations
//! that Rust programs do not have, before `btf(None)` can say that it is not
//! wanted (aya 0.14). Where the file cannot be opened it goes without, so the
//! loader is made by a thread that may open none: a seccomp filter binds the
//! thread that installs it and dies with it.

use std::thread;

use aya::EbpfLoader;
use tracing::debug;

/// Makes it, at the cost of the BTF where there is no filter.
pub(super) fn loader() -> EbpfLoader<'static> {
    let make = || {
        if let Err(error) = open_nothing() {
            debug!(%error, "no seccomp here: the kernel's BTF is parsed in vain");
        }
        without_btf()
    };
    let thread = thread::Builder::new().name("loader".to_owned()).spawn(make);
    thread
        .ok()
        .and_then(|thread| thread.join().ok())
        .unwrap_or_else(without_btf)
}

fn without_btf() -> EbpfLoader<'static> {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    loader
}

/// From now on opening a file fails in this thread.
#[cfg(target_endian = "little")]
fn open_nothing() -> Result<(), seccompiler::Error> {
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

/// seccompiler makes no filter here.
#[cfg(target_endian = "big")]
fn open_nothing() -> Result<(), &'static str> {
    Err("big endian")
}
