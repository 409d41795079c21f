//! The environment of the process: its variables, and the path of the checkout.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The value of a variable; `None` if it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of xtask that reads it"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The directory of everything that is built, whatever `CARGO_TARGET_DIR` says: the
/// tests and the documentation name files in it.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The directory of the tools that [`crate::setup`] builds and unpacks.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// PATH, with the unpacked programs first.
pub(crate) fn path() -> OsString {
    let path = variable("PATH").unwrap_or_default();
    let tools = [tools().join("bin")].into_iter();
    // A checkout with a colon in its name goes without them.
    env::join_paths(tools.chain(env::split_paths(&path))).unwrap_or(path)
}
