//! Debian packages, from the archive that the machine uses already. apt runs with a state of
//! its own, so that it neither uses nor changes the machine's state. apt checks signatures and
//! checksums. Packages are unpacked and never installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow};
use fs_err as fs;

use crate::{checkout, command};

/// Debian's keys, under the names that its releases use.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// A field of every package index that this machine uses.
fn index_targets(field: &str) -> Result<String> {
    let mut apt = command::new("apt-get indextargets --no-release-info --format");
    command::stdout(apt.arg(field))
}

/// The release that this machine gets its packages from. `/etc/os-release` belongs to a
/// package, which may be from another release.
pub(crate) fn release() -> Result<String> {
    let listed = index_targets("$(RELEASE)")?;
    let is_release = |name: &&str| !name.is_empty() && !name.contains('-');
    let release = listed.lines().find(is_release).map(str::to_owned);
    release.context("apt names no release of this machine")
}

pub(crate) struct Apt {
    state: PathBuf,
}

impl Apt {
    /// apt with the first archive of this machine that has all of these suites. Security
    /// suites have archives of their own. Whatever was in `state` is removed.
    pub(crate) fn of(state: &Path, suites: &[&str]) -> Result<Self> {
        let wants_security = suites.iter().any(|it| it.ends_with("-security"));
        let has_them = |uri: &&str| {
            let is_security = uri.trim_end_matches('/').ends_with("security");
            is_security == wants_security
        };
        let listed = index_targets("$(REPO_URI)")?;
        let mut archives: Vec<_> = listed.lines().filter(has_them).collect();
        archives.sort_unstable();
        archives.dedup();
        let mut result = Err(anyhow!(
            "apt names no archive that has {}",
            suites.join(" and ")
        ));
        for archive in archives {
            let apt = Self::new(state.to_owned(), archive, suites)?;
            // Every suite must answer.
            let mut update = apt.command("apt-get update --error-on=any");
            result = command::quiet(&mut update).map(|()| apt);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn new(state: PathBuf, archive: &str, suites: &[&str]) -> Result<Self> {
        checkout::empty(&state)?;
        for directory in ["lists/partial", "cache/archives/partial", "package"] {
            fs::create_dir_all(state.join(directory))?;
        }
        let keyring = KEYRINGS.into_iter().find(|it| Path::new(it).is_file());
        let lines = suites.iter().map(|it| source_line(archive, it, keyring));
        fs::write(state.join("sources.list"), lines.collect::<String>())?;
        fs::write(state.join("status"), "")?;
        Ok(Self { state })
    }

    /// A program of apt, with arguments that spaces separate.
    fn command(&self, line: &str) -> Command {
        let (program, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let mut command = Command::new(program);
        command.current_dir(self.state.join("package"));
        for (option, path) in [
            ("Dir::State", ""),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::SourceList", "sources.list"),
        ] {
            command.arg(format!("-o{option}={}", self.state.join(path).display()));
        }
        // The user `_apt` may not write below the checkout of another user.
        let user = command::stdout(&mut command::new("id -un"));
        let user = user.unwrap_or_else(|_| "root".to_owned());
        command
            .arg("-oDir::Etc::SourceParts=/dev/null")
            .arg(format!("-oAPT::Sandbox::User={}", user.trim()))
            .args(arguments.split(' '));
        command
    }

    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let found = command::stdout(self.command("apt-cache pkgnames").arg(prefix))?;
        Ok(found.lines().map(str::to_owned).collect())
    }

    /// The versions of a package, as apt's table.
    pub(crate) fn madison(&self, package: &str) -> Result<String> {
        command::stdout(self.command("apt-cache madison").arg(package))
    }

    /// Downloads a package (`NAME`, `NAME=VERSION`) and returns the directory of its files.
    pub(crate) fn unpack(&self, package: &str) -> Result<PathBuf> {
        let downloads = self.state.join("package");
        checkout::empty(&downloads)?;
        command::quiet(self.command("apt-get download").arg(package))?;
        let unpacked = self.state.join("unpacked");
        checkout::empty(&unpacked)?;
        let downloaded = checkout::entries(&downloads)?.pop();
        unpack(
            &downloaded.context("apt-get download left no file")?,
            &unpacked,
        )?;
        Ok(unpacked)
    }

    /// Unpacks packages below `root` with all their dependencies, preferring a suite. The
    /// C library is left out, because it must match the loader of the machine.
    pub(crate) fn unpack_all(&self, suite: &str, packages: &[&str], root: &Path) -> Result<()> {
        let archives = self.state.join("cache/archives");
        let before = checkout::entries(&archives)?;
        let mut apt = self.command("apt-get install --download-only --yes");
        apt.args(["--no-install-recommends", "--target-release", suite]);
        command::quiet(apt.args(packages))?;
        for file in checkout::entries(&archives)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let is_package = name.ends_with(".deb") && !name.starts_with("libc6_");
            if is_package && !before.contains(&file) {
                unpack(&file, root)?;
            }
        }
        Ok(())
    }

    pub(crate) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.state)?)
    }
}

fn unpack(package: &Path, directory: &Path) -> Result<()> {
    command::quiet(Command::new("dpkg").arg("-x").args([package, directory]))
}

fn source_line(archive: &str, suite: &str, keyring: Option<&str>) -> String {
    let option = keyring.map(|path| format!("[signed-by={path}] "));
    format!("deb {}{archive} {suite} main\n", option.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_verified() {
        let line = source_line("http://archive.test", "sid", Some("/keys.gpg"));
        assert_eq!(
            line,
            "deb [signed-by=/keys.gpg] http://archive.test sid main\n"
        );
    }
}
