//! Paths: of the checkout and of what is built in it, of cargo and of the compiler.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use fs_err as fs;

pub(crate) use crate::environment::{path, root, target, tools};
use crate::{command, environment::variable};

/// A tool that [`crate::setup`] built.
pub(crate) fn tool(name: &str) -> PathBuf {
    tools().join("bin").join(name)
}

/// The release binary, once it is built.
pub(crate) fn probe() -> PathBuf {
    target().join("release/probe")
}

/// Builds the release binary, because the tests must not pass on another one.
pub(crate) fn build_probe() -> Result<()> {
    command::run(&mut cargo("build --release --locked -p probe-cli")).context("build probe")
}

/// Files that are committed or could be, as paths below [`root`].
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let mut git = command::new("git ls-files -z --cached --others --exclude-standard");
    let listed = command::stdout(git.current_dir(root())).context("list the checkout")?;
    let files = listed.split_terminator('\0').map(PathBuf::from);
    Ok(files.filter(|file| root().join(file).is_file()).collect())
}

/// The paths of the entries of a directory, sorted.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

pub(crate) fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(fs::create_dir_all(directory)?)
}

/// cargo with arguments that spaces separate, at the root and building into [`target`].
pub(crate) fn cargo(words: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", target());
    cargo.env("PATH", path()).args(words.split(' '));
    cargo
}

/// The directory of cargo's registry and git checkouts.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    let home = || env::home_dir().map(|home| home.join(".cargo"));
    let found = variable("CARGO_HOME").map(PathBuf::from).or_else(home);
    found.context("neither CARGO_HOME nor a home directory")
}

pub(crate) fn sysroot() -> Result<PathBuf> {
    Ok(command::stdout(&mut command::new("rustc --print sysroot"))?
        .trim()
        .into())
}

pub(crate) fn host() -> Result<String> {
    Ok(
        command::stdout(&mut command::new("rustc --print host-tuple"))?
            .trim()
            .to_owned(),
    )
}

/// The environment variable with which cargo takes a setting of a target, such as its
/// linker.
pub(crate) fn target_variable(target: &str, name: &str) -> String {
    let target = target.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{target}_{name}")
}

/// Replaces the generated part of a document, which lies between two lines.
pub(crate) fn replace_between(text: &str, [begin, end]: [&str; 2], middle: &str) -> Result<String> {
    let parts = text.split_once(begin);
    let parts = parts.and_then(|(head, rest)| Some((head, rest.split_once(end)?.1)));
    let (head, tail) =
        parts.with_context(|| format!("no lines {} and {}", begin.trim(), end.trim()))?;
    Ok([head, begin, middle, end, tail].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_the_generated_part_stays() {
        let marks = ["BEGIN\n", "END\n"];
        let replaced = replace_between("above\nBEGIN\nold\nEND\nbelow\n", marks, "new\n");
        let expected = "above\nBEGIN\nnew\nEND\nbelow\n";
        assert_eq!(replaced.expect("both lines"), expected);
        assert!(replace_between("BEGIN\n", marks, "new").is_err());
    }
}
