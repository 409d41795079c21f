//! Debian packages of suites that are not this machine's: apt with a state of
//! its own, so that the machine's is not touched, from the archive that the
//! machine uses already. apt checks signatures and checksums.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

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

/// A suite of an archive.
pub(crate) struct Source {
    pub(crate) archive: String,
    pub(crate) suite: String,
}

/// Where this machine gets its packages from.
pub(crate) fn archives(kind: Kind) -> Result<Vec<String>> {
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

/// apt with these sources and no others.
pub(crate) struct Apt {
    state: PathBuf,
}

impl Apt {
    /// Begins with nothing in `state`.
    pub(crate) fn new(state: PathBuf, sources: &[Source]) -> Result<Self> {
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
        let lines: String = sources
            .iter()
            .map(|source| source_line(source, keyring))
            .collect();
        fs::write(state.join("sources.list"), lines).context("write sources.list")?;
        Ok(Self { state })
    }

    /// A program of apt that sees these sources.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.configured(Command::new(program))
    }

    /// The same for one that runs it, such as `sudo apt-get`.
    pub(crate) fn configured(&self, mut command: Command) -> Command {
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

    /// Learns what the sources have; all of them must answer.
    pub(crate) fn update(&self) -> Result<()> {
        command::quiet(self.command("apt-get").args(["update", "--error-on=any"]))
    }

    /// All packages whose names begin so, those that are installed included.
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

fn source_line(source: &Source, keyring: Option<&str>) -> String {
    let option = keyring
        .map(|path| format!("[signed-by={path}] "))
        .unwrap_or_default();
    let Source { archive, suite } = source;
    format!("deb {option}{archive} {suite} main\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_stay_verified() {
        let source = Source {
            archive: "http://archive.test/debian".to_owned(),
            suite: "sid".to_owned(),
        };
        assert_eq!(
            source_line(&source, Some("/keys.gpg")),
            "deb [signed-by=/keys.gpg] http://archive.test/debian sid main\n"
        );
    }
}
