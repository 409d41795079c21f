//! The source of the standard library, of which `core` is compiled for BPF: from rustup,
//! or where its server cannot be reached from Debian: the package of the same version has
//! the same `core`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow};
use fs_err as fs;

use crate::{apt::Apt, checkout, command};

/// Suites with compilers that are newer than a release's.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Obtains the source unless it is there; returns whether it did.
pub(super) fn install(verbose: bool) -> Result<bool> {
    if is_in(&library()?) {
        return Ok(false);
    }
    // The limit is for a network that drops packets.
    let mut rustup = command::new("timeout 60 rustup component add rust-src");
    let result = if verbose {
        command::run(&mut rustup)
    } else {
        command::quiet(&mut rustup)
    };
    if result.is_ok() && is_in(&library()?) {
        println!("rust-src: installed by rustup");
        return Ok(true);
    }
    println!("rust-src: rustup cannot, trying Debian");
    let version = from_debian()
        .context("unpack Debian's rust-src (`rustup component add rust-src` would do as well)")?;
    println!("rust-src: unpacked from Debian's rust-src {version}");
    Ok(true)
}

/// The places of the source: in the toolchain, where the symbols of the committed BPF
/// objects expect it, and below `target` for a toolchain that cannot be written.
fn libraries() -> Result<[PathBuf; 2]> {
    let ours = checkout::tools().join(format!("rust-src-{}", rustc()?));
    let toolchain = checkout::sysroot()?.join("lib/rustlib/src/rust");
    Ok([toolchain, ours].map(|it| it.join("library")))
}

/// The directory of the source.
pub(super) fn library() -> Result<PathBuf> {
    let [toolchain, ours] = libraries()?;
    Ok(if is_in(&toolchain) { toolchain } else { ours })
}

fn is_in(library: &Path) -> bool {
    library.join("core/src/lib.rs").is_file()
}

fn rustc() -> Result<String> {
    let rustc = command::stdout(&mut command::new("rustc --version"))?;
    let version = rustc.split_whitespace().nth(1);
    version.map(str::to_owned).context("version of rustc")
}

fn from_debian() -> Result<String> {
    let rustc = rustc()?;
    let mut result = Err(anyhow!("no suite was asked"));
    for suite in SUITES {
        result =
            Apt::of(&checkout::tools().join("apt"), &[suite]).and_then(|apt| unpack(apt, &rustc));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Downloads and unpacks the source of this compiler.
fn unpack(apt: Apt, rustc: &str) -> Result<String> {
    let table = apt.madison("rust-src")?;
    let version = newest(&table, rustc)
        .with_context(|| format!("no rust-src {rustc} among: {}", table.trim()))?;
    let unpacked = apt.unpack(&format!("rust-src={version}"))?;
    let source = unpacked.join(format!("usr/src/rustc-{rustc}/library"));
    let [toolchain, ours] = libraries()?;
    copy(&source, &toolchain).or_else(|_| copy(&source, &ours))?;
    apt.remove()?;
    Ok(version.to_owned())
}

/// The newest package of this compiler in apt's table, which is sorted.
fn newest<'a>(table: &'a str, rustc: &str) -> Option<&'a str> {
    let mut versions = table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim);
    versions.find(|version| {
        let rest = version.strip_prefix(rustc);
        rest.is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    })
}

/// Copies through a partial directory, so that an interrupted copy does not look whole.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let partial = to.with_file_name(".library.partial");
    for leftover in [&partial, to] {
        checkout::empty(leftover)?;
        fs::remove_dir(leftover)?;
    }
    let mut cp = Command::new("cp");
    command::quiet(
        cp.args(["-r", "--no-preserve=ownership"])
            .args([from, &partial]),
    )?;
    Ok(fs::rename(&partial, to)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://archive.test/debian trixie-backports/main
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://archive.test/debian trixie-backports/main
  rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://archive.test/debian trixie-backports/main
";

    #[test]
    fn the_newest_package_of_the_compiler_is_chosen() {
        assert_eq!(newest(TABLE, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(newest(TABLE, "1.96"), None, "1.96.1 is another compiler");
        assert_eq!(newest(TABLE, "1.94.0"), None);
    }
}
