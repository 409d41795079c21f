//! The sources of `core`, which are compiled for BPF: from rustup, or where its
//! server cannot be reached from Debian, whose package of the same version has
//! the same `core`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    apt::{Apt, Kind},
    checkout, command,
};

/// Archives that carry compilers newer than a release has.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Obtains them unless they are there; says whether it did.
pub(super) fn install(verbose: bool) -> Result<bool> {
    if is_in(&library()?) {
        return Ok(false);
    }
    let rustup = from_rustup(verbose);
    if rustup.is_ok() && is_in(&library()?) {
        println!("rust-src: installed by rustup");
        return Ok(true);
    }
    println!(
        "rust-src: rustup cannot ({}), trying Debian",
        reason(rustup.as_ref().err())
    );
    let version = from_debian()
        .context("unpack Debian's rust-src (`rustup component add rust-src` would do as well)")?;
    println!("rust-src: unpacked from Debian's rust-src {version}");
    Ok(true)
}

/// Where they are, or may be: the toolchain's place, which the symbols of the BPF
/// objects depend on, and ours for a toolchain that cannot be written.
fn libraries() -> Result<[PathBuf; 2]> {
    let ours = checkout::tools().join(format!("rust-src-{}", rustc()?));
    let theirs = checkout::sysroot()?.join("lib/rustlib/src/rust");
    Ok([theirs, ours].map(|it| it.join("library")))
}

/// Where they are.
pub(super) fn library() -> Result<PathBuf> {
    let [theirs, ours] = libraries()?;
    Ok(if is_in(&theirs) { theirs } else { ours })
}

fn is_in(library: &Path) -> bool {
    library.join("core/src/lib.rs").is_file()
}

/// The version of the compiler.
fn rustc() -> Result<String> {
    let rustc = command::stdout(Command::new("rustc").arg("--version"))?;
    let version = rustc.split_whitespace().nth(1);
    version.map(str::to_owned).context("version of rustc")
}

/// The last line of an error that may be long.
fn reason(error: Option<&anyhow::Error>) -> String {
    let text = error.map_or_else(|| "it did nothing".to_owned(), |error| format!("{error:#}"));
    text.trim_end()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// With a limit, because a network that swallows packets makes it wait long.
fn from_rustup(verbose: bool) -> Result<()> {
    let mut rustup = Command::new("timeout");
    rustup.args(["60", "rustup", "component", "add", "rust-src"]);
    if verbose {
        command::run(&mut rustup)
    } else {
        command::quiet(&mut rustup)
    }
}

fn from_debian() -> Result<String> {
    let wanted = rustc()?;
    let mut result = Err(anyhow!("no suite was asked"));
    for suite in SUITES {
        result = Apt::of(&checkout::tools().join("apt"), Kind::Main, &[suite])
            .and_then(|apt| unpack(apt, &wanted));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Downloads and unpacks the sources of this compiler.
fn unpack(apt: Apt, rustc: &str) -> Result<String> {
    let known = apt.madison("rust-src")?;
    let Some(version) = revision(&known, rustc) else {
        bail!("no rust-src {rustc} among: {}", known.trim());
    };
    let unpacked = apt.unpack(&format!("rust-src={version}"))?;
    let sources = unpacked.join(format!("usr/src/rustc-{rustc}/library"));
    let [theirs, ours] = libraries()?;
    copy(&sources, &theirs).or_else(|_| copy(&sources, &ours))?;
    apt.remove()?;
    Ok(version.to_owned())
}

/// The newest package of this compiler, out of apt's table, which is sorted.
fn revision<'a>(table: &'a str, rustc: &str) -> Option<&'a str> {
    table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            version
                .strip_prefix(rustc)
                .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
}

/// Whole or not at all: an interrupted copy must not look installed.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("the library is in a directory")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    let partial = parent.join(".library.partial");
    for leftover in [partial.as_path(), to] {
        if leftover.exists() {
            fs::remove_dir_all(leftover)
                .with_context(|| format!("remove {}", leftover.display()))?;
        }
    }
    command::quiet(
        Command::new("cp")
            .args(["-r", "--no-preserve=ownership"])
            .args([from, &partial]),
    )?;
    fs::rename(&partial, to).with_context(|| format!("rename to {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://archive.test/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://archive.test/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://archive.test/debian trixie-backports/main amd64 Packages
";

    #[test]
    fn the_newest_revision_of_the_compiler_is_taken() {
        assert_eq!(revision(TABLE, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
    }

    #[test]
    fn a_longer_version_number_is_another_compiler() {
        assert_eq!(revision(TABLE, "1.96"), None);
        assert_eq!(revision(TABLE, "1.94.0"), None);
    }

    #[test]
    fn a_partial_copy_is_replaced() {
        let directory = checkout::target().join("tmp/rust-src-copy");
        let (from, to) = (directory.join("from"), directory.join("to/library"));
        for made in [&from, &to, &directory.join("to/.library.partial")] {
            fs::create_dir_all(made).expect("create");
        }
        fs::write(from.join("whole"), "").expect("write");
        fs::write(to.join("leftover"), "").expect("write");
        copy(&from, &to).expect("copy");
        assert!(to.join("whole").is_file() && !to.join("leftover").exists());
        assert!(!directory.join("to/.library.partial").exists());
        fs::remove_dir_all(&directory).expect("remove");
    }
}
