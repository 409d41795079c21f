//! Where things are: the checkout, what is built in it, cargo's home, the
//! compiler's.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result};

pub(crate) use crate::environment::{path, root, target, tools};
use crate::{command, environment::variable};

/// A tool that [`crate::setup`] built.
pub(crate) fn tool(name: &str) -> PathBuf {
    tools().join("bin").join(name)
}

/// The binary that ships, once it is built.
pub(crate) fn probe() -> PathBuf {
    target().join("release/probe")
}

/// Builds the binary that ships, in the profile in which it ships: the tests must
/// not pass on another one.
pub(crate) fn build_probe() -> Result<()> {
    command::run(cargo().args(["build", "--release", "--locked", "-p", "probe-cli"]))
        .context("build probe")
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_root_holds_the_lock_file() {
        assert!(super::root().join("Cargo.lock").is_file());
    }
}
