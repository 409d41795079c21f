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

/// The binary that ships, once it is built.
pub(crate) fn probe() -> PathBuf {
    target().join("release/probe")
}

/// What is committed or could be, as paths below [`root`].
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let listed = command::stdout(Command::new("git").current_dir(root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("list the files of the checkout")?;
    Ok(listed
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect())
}

/// Where programs are looked for, the unpacked ones first.
pub(crate) fn path() -> OsString {
    let path = variable("PATH").unwrap_or_default();
    let tools = [tools().join("bin")].into_iter();
    // A checkout with a colon in its name is left without them.
    env::join_paths(tools.chain(env::split_paths(&path))).unwrap_or(path)
}

/// cargo, at the root and building into [`target`].
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", target());
    cargo.env("PATH", path());
    cargo
}

/// cargo-deny, which needs a cargo that answers for it.
pub(crate) fn cargo_deny() -> Command {
    let mut deny = Command::new(tool("cargo-deny"));
    deny.current_dir(root()).args(["--locked", "--workspace"]);
    deny
}

/// cargo-fuzz, at the root.
pub(crate) fn cargo_fuzz() -> Command {
    let mut fuzz = Command::new(tool("cargo-fuzz"));
    fuzz.current_dir(root()).env_remove("RUSTFLAGS");
    fuzz
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

/// The machine that builds, as rustc names it.
pub(crate) fn host() -> Result<String> {
    let host = command::stdout(Command::new("rustc").args(["--print", "host-tuple"]))?;
    Ok(host.trim().to_owned())
}

/// The variable that tells cargo this of a target, such as its linker.
pub(crate) fn target_variable(target: &str, name: &str) -> String {
    let target = target.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{target}_{name}")
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
