//! Where things are: the checkout, what is built in it, cargo's home, the
//! compiler's. The environment is read here.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::command;

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Everything that is built lands here, whatever `CARGO_TARGET_DIR` says: the
/// tests and the documentation name files in it.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Root of the tools that [`crate::setup`] builds.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// A tool that [`crate::setup`] built.
pub(crate) fn tool(name: &str) -> PathBuf {
    tools().join("bin").join(name)
}

/// cargo, at the root and building into [`target`].
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", target());
    cargo
}

/// The directory of cargo's registry and git checkouts.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    match variable("CARGO_HOME") {
        Some(home) => Ok(home.into()),
        None => Ok(env::home_dir()
            .context("neither CARGO_HOME nor a home directory")?
            .join(".cargo")),
    }
}

/// The compiler's own directory.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let sysroot = command::stdout(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(sysroot.trim().into())
}

/// A variable of the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of xtask that reads it"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_root_holds_the_lock_file() {
        assert!(super::root().join("Cargo.lock").is_file());
    }
}
