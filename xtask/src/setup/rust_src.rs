//! The sources of `core`, which are compiled for BPF: from rustup, or where its
//! server cannot be reached from Debian, whose package of the same version has
//! the same `core`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    apt::{self, Apt, Kind, Source},
    checkout, command,
};

/// Archives that carry compilers newer than a release has.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Installs them unless they are there; says whether it did.
pub(super) fn install(verbose: bool) -> Result<bool> {
    let library = checkout::sysroot()?.join("lib/rustlib/src/rust/library");
    if library.join("core/src/lib.rs").is_file() {
        return Ok(false);
    }
    let rustup = from_rustup(verbose);
    if rustup.is_ok() && library.join("core/src/lib.rs").is_file() {
        println!("rust-src: installed by rustup");
        return Ok(true);
    }
    println!(
        "rust-src: rustup cannot ({}), trying Debian",
        reason(rustup.as_ref().err())
    );
    let version = from_debian(&library).context(
        "install rust-src from Debian (`rustup component add rust-src` would do as well)",
    )?;
    println!("rust-src: installed from Debian's rust-src {version}");
    Ok(true)
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

fn from_debian(library: &Path) -> Result<String> {
    let rustc = command::stdout(Command::new("rustc").arg("--version"))?;
    let wanted = rustc
        .split_whitespace()
        .nth(1)
        .context("version of rustc")?;
    let mut result = Err(anyhow::anyhow!("apt names no archive of Debian"));
    for archive in apt::archives(Kind::Main)? {
        for suite in SUITES {
            let source = Source {
                archive: archive.clone(),
                suite: suite.to_owned(),
            };
            let apt = Apt::new(checkout::target().join("setup/apt"), &[source])?;
            result = fetch(&apt, wanted);
            if let Ok((version, directory)) = &result {
                copy(
                    &directory.join(format!("usr/src/rustc-{wanted}/library")),
                    library,
                )?;
                let version = version.clone();
                apt.remove()?;
                return Ok(version);
            }
        }
    }
    result.map(|(version, _)| version)
}

/// Downloads and unpacks the sources of this compiler.
fn fetch(apt: &Apt, rustc: &str) -> Result<(String, PathBuf)> {
    apt.update()?;
    let known = apt.madison("rust-src")?;
    let Some(version) = revision(&known, rustc) else {
        bail!("no rust-src {rustc} among: {}", known.trim());
    };
    let unpacked = apt.unpack(&format!("rust-src={version}"))?;
    Ok((version.to_owned(), unpacked))
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
