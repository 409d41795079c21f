//! Debian packages: apt with a state of its own, so that the machine's is neither
//! asked nor touched, from the archive that the machine uses already. apt checks
//! signatures and checksums. Packages are unpacked and never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow};

use crate::command;

/// Debian's keys, where its releases put them.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// What an archive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Releases and backports.
    Main,
    /// Security updates, which have an archive of their own.
    Security,
}

/// Where this machine gets its packages from.
fn archives(kind: Kind) -> Result<Vec<String>> {
    let listed = command::stdout(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI)",
    ]))?;
    let is_security = |uri: &str| uri.trim_end_matches('/').ends_with("security");
    let mut archives: Vec<_> = listed
        .lines()
        .filter(|uri| is_security(uri) == (kind == Kind::Security))
        .map(str::to_owned)
        .collect();
    archives.sort();
    archives.dedup();
    Ok(archives)
}

/// The name of the release that this machine gets its packages from. What
/// `/etc/os-release` says is a package's word, which somebody may have taken from
/// another release.
pub(crate) fn release() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--no-release-info"]);
    let listed = command::stdout(command.args(["--format", "$(RELEASE)"]))?;
    let is_whole = |name: &&str| !name.is_empty() && !name.contains('-');
    let release = listed.lines().find(is_whole);
    release
        .map(str::to_owned)
        .context("apt names no release of this machine")
}

/// apt with suites of one archive and nothing else, to which nothing is installed.
pub(crate) struct Apt {
    state: PathBuf,
}

impl Apt {
    /// With the first archive of this machine that has all of these suites; begins
    /// with nothing in `state`.
    pub(crate) fn of(state: &Path, kind: Kind, suites: &[&str]) -> Result<Self> {
        let wanted = suites.join(" and ");
        let mut result = Err(anyhow!("apt names no archive that has {wanted}"));
        for archive in archives(kind)? {
            let apt = Self::new(state.to_owned(), &archive, suites)?;
            result = apt.update().map(|()| apt);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn new(state: PathBuf, archive: &str, suites: &[&str]) -> Result<Self> {
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
        let lines = suites.iter().map(|it| source_line(archive, it, keyring));
        fs::write(state.join("sources.list"), lines.collect::<String>())
            .context("write sources.list")?;
        fs::write(state.join("status"), "").context("write an empty status")?;
        Ok(Self { state })
    }

    /// A program of apt that sees these suites.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option =
            |name: &str, path: &str| format!("-o{name}={}", self.state.join(path).display());
        command
            .current_dir(self.state.join("package"))
            .arg(option("Dir::State", ""))
            .arg(option("Dir::State::status", "status"))
            .arg(option("Dir::Cache", "cache"))
            .arg(option("Dir::Etc::SourceList", "sources.list"))
            .arg("-oDir::Etc::SourceParts=/dev/null")
            // The user `_apt` cannot write below somebody's checkout.
            .arg(format!("-oAPT::Sandbox::User={}", whoami()));
        command
    }

    /// Learns what the suites have; all of them must answer.
    fn update(&self) -> Result<()> {
        command::quiet(self.command("apt-get").args(["update", "--error-on=any"]))
    }

    /// All packages whose names begin so.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let found = command::stdout(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(found.lines().map(str::to_owned).collect())
    }

    /// The versions of a package that there are, as apt's table.
    pub(crate) fn madison(&self, package: &str) -> Result<String> {
        command::stdout(self.command("apt-cache").args(["madison", package]))
    }

    /// Downloads a package (`NAME`, `NAME=VERSION`) and says where its files
    /// are. Nothing is installed.
    pub(crate) fn unpack(&self, package: &str) -> Result<PathBuf> {
        let downloads = self.state.join("package");
        for stale in files(&downloads)? {
            fs::remove_file(&stale).with_context(|| format!("remove {}", stale.display()))?;
        }
        command::quiet(self.command("apt-get").args(["download", package]))?;
        let downloaded = files(&downloads)?.pop();
        let downloaded = downloaded.context("apt-get download left no file")?;
        let unpacked = self.state.join("unpacked");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)
                .with_context(|| format!("remove {}", unpacked.display()))?;
        }
        command::quiet(
            Command::new("dpkg")
                .arg("-x")
                .args([&downloaded, &unpacked]),
        )?;
        Ok(unpacked)
    }

    /// Unpacks packages below `root` with all that they depend on, preferring one
    /// suite. Their C library is left out: it is one with the loader of the machine.
    pub(crate) fn unpack_all(&self, suite: &str, packages: &[&str], root: &Path) -> Result<()> {
        let archives = self.state.join("cache/archives");
        let before = files(&archives)?;
        command::quiet(
            self.command("apt-get")
                .args(["install", "--download-only", "--yes"])
                .args(["--no-install-recommends", "--target-release", suite])
                .args(packages),
        )?;
        let is_wanted = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let is_package = name.ends_with(".deb") && !name.starts_with("libc6_");
            is_package && !before.contains(file)
        };
        for package in files(&archives)?.iter().filter(|it| is_wanted(it)) {
            command::quiet(Command::new("dpkg").arg("-x").args([package, root]))?;
        }
        Ok(())
    }

    /// With all that it downloaded.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.state).with_context(|| format!("remove {}", self.state.display()))
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_stay_verified() {
        assert_eq!(
            source_line("http://archive.test/debian", "sid", Some("/keys.gpg")),
            "deb [signed-by=/keys.gpg] http://archive.test/debian sid main\n"
        );
    }
}
