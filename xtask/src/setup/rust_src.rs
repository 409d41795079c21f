//! The sources of `core`, which are compiled for BPF: from rustup, or where its
//! server cannot be reached from Debian, whose package of the same version has
//! the same `core`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{checkout, command};

/// Archives that carry compilers newer than a release has.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Debian's keys, where its releases put them.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

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
    for archive in archives()? {
        for suite in SUITES {
            let apt = Apt::new(&archive, suite)?;
            result = apt.fetch(wanted);
            if let Ok((version, directory)) = &result {
                copy(
                    &directory.join(format!("usr/src/rustc-{wanted}/library")),
                    library,
                )?;
                let version = version.clone();
                fs::remove_dir_all(&apt.state).context("remove the downloaded package")?;
                return Ok(version);
            }
        }
    }
    result.map(|(version, _)| version)
}

/// Where this machine gets its packages from.
fn archives() -> Result<Vec<String>> {
    let listed = command::stdout(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI)",
    ]))?;
    let mut archives: Vec<_> = listed
        .lines()
        .filter(|uri| !uri.trim_end_matches('/').ends_with("security"))
        .map(str::to_owned)
        .collect();
    archives.sort();
    archives.dedup();
    Ok(archives)
}

/// apt with one suite and a state of its own: the machine's is not touched.
struct Apt {
    state: PathBuf,
}

impl Apt {
    fn new(archive: &str, suite: &str) -> Result<Self> {
        let state = checkout::target().join("setup/apt");
        if state.exists() {
            fs::remove_dir_all(&state).with_context(|| format!("remove {}", state.display()))?;
        }
        for directory in ["lists/partial", "cache/archives/partial", "package"] {
            let directory = state.join(directory);
            fs::create_dir_all(&directory)
                .with_context(|| format!("create {}", directory.display()))?;
        }
        let keyring = KEYRINGS
            .into_iter()
            .find(|keyring| Path::new(keyring).is_file());
        fs::write(
            state.join("sources.list"),
            source_line(archive, suite, keyring),
        )
        .context("write sources.list")?;
        Ok(Self { state })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option =
            |name: &str, path: &str| format!("-o{name}={}", self.state.join(path).display());
        command
            .current_dir(self.state.join("package"))
            .arg(option("Dir::State", ""))
            .arg(option("Dir::Cache", "cache"))
            .arg(option("Dir::Etc::SourceList", "sources.list"))
            .arg("-oDir::Etc::SourceParts=/dev/null")
            .arg("-oDir::State::status=/var/lib/dpkg/status")
            // The user `_apt` cannot write below somebody's checkout.
            .arg(format!("-oAPT::Sandbox::User={}", whoami()));
        command
    }

    /// Downloads and unpacks the sources of this compiler.
    fn fetch(&self, rustc: &str) -> Result<(String, PathBuf)> {
        command::quiet(self.command("apt-get").arg("update"))?;
        let known = command::stdout(self.command("apt-cache").args(["madison", "rust-src"]))?;
        let Some(version) = revision(&known, rustc) else {
            bail!("no rust-src {rustc} among: {}", known.trim());
        };
        command::quiet(
            self.command("apt-get")
                .args(["download", &format!("rust-src={version}")]),
        )?;
        let package = fs::read_dir(self.state.join("package"))?
            .next()
            .context("apt-get download left no file")??
            .path();
        let unpacked = self.state.join("unpacked");
        command::quiet(Command::new("dpkg").arg("-x").args([&package, &unpacked]))?;
        Ok((version.to_owned(), unpacked))
    }
}

fn whoami() -> String {
    let name = command::stdout(Command::new("id").arg("-un"));
    name.map_or_else(|_| "root".to_owned(), |name| name.trim().to_owned())
}

fn source_line(archive: &str, suite: &str, keyring: Option<&str>) -> String {
    let option = keyring
        .map(|path| format!("[signed-by={path}] "))
        .unwrap_or_default();
    format!("deb {option}{archive} {suite} main\n")
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
    fn packages_stay_verified() {
        assert_eq!(
            source_line("http://archive.test/debian", "sid", Some("/keys.gpg")),
            "deb [signed-by=/keys.gpg] http://archive.test/debian sid main\n"
        );
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
