//! Names of package registries: they belong to the machine that builds, and
//! must not get into a file of ours.
//!
//! Which names those are is asked of this machine's own configuration, so that
//! none needs to be written down here.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{checkout, command};

/// What cargo writes into a lock file whatever mirror it uses.
const CANONICAL: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Hosts that documentation links to for reasons of its own.
const ORDINARY: [&str; 2] = ["github.com", "crates.io"];

/// Words in the names of variables that tell a program where to download.
const VARIABLES: [&str; 6] = [
    "INDEX",
    "REGISTRY",
    "MIRROR",
    "PROXY",
    "DIST_SERVER",
    "UPDATE_ROOT",
];

/// Fails if a file names a registry that this machine uses.
pub(super) fn check() -> Result<()> {
    let hosts = hosts()?;
    let mut found = Vec::new();
    for file in checkout::files()? {
        let bytes = fs::read(checkout::root().join(&file))
            .with_context(|| format!("read {}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        for (host, configured) in &hosts {
            if text.contains(host.as_str()) {
                found.push(format!("{} names {host} ({configured})", file.display()));
            }
        }
        if file.ends_with("Cargo.lock") {
            found.extend(strangers(&text).map(|source| format!("Cargo.lock names {source}")));
        }
    }
    if !found.is_empty() {
        bail!(
            "a registry of this machine is named:\n  {}",
            found.join("\n  ")
        );
    }
    println!(
        "{} registry hosts of this machine, none of them named",
        hosts.len()
    );
    Ok(())
}

/// Sources in a lock file that are not the public registry.
fn strangers(lock: &str) -> impl Iterator<Item = &str> {
    lock.lines()
        .filter_map(|line| line.strip_prefix("source = \""))
        .map(|source| source.trim_end_matches('"'))
        .filter(|source| *source != CANONICAL)
}

/// Every host with the place that names it.
fn hosts() -> Result<BTreeMap<String, String>> {
    let mut hosts = BTreeMap::new();
    let mut add = |text: &str, place: &str| {
        for host in hosts_of(text) {
            hosts.insert(host.to_owned(), place.to_owned());
        }
    };
    for (name, value) in env::vars_os() {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if VARIABLES
            .iter()
            .any(|word| name.to_uppercase().contains(word))
        {
            add(&value, &name);
        }
    }
    for file in configuration()? {
        if let Ok(text) = fs::read_to_string(&file) {
            add(&text, &file.display().to_string());
        }
    }
    for (program, arguments) in [
        (
            "apt-get",
            ["indextargets", "--no-release-info", "--format=$(REPO_URI)"].as_slice(),
        ),
        ("apt-config", &["dump", "Acquire"]),
    ] {
        // Another distribution's machine has no apt, and nothing to find.
        if let Ok(text) = command::stdout(Command::new(program).args(arguments)) {
            add(&text, program);
        }
    }
    Ok(hosts)
}

/// Files in which cargo, pip and npm look for registries.
fn configuration() -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = ["/etc/pip.conf", "/etc/npmrc", "/usr/etc/npmrc"]
        .map(PathBuf::from)
        .into();
    if let Some(home) = env::home_dir() {
        files.extend(
            [".npmrc", ".pip/pip.conf", ".config/pip/pip.conf"].map(|file| home.join(file)),
        );
    }
    let above = checkout::root()
        .ancestors()
        .map(|directory| directory.join(".cargo"));
    for directory in above.chain([checkout::cargo_home()?]) {
        files.extend(["config.toml", "config"].map(|file| directory.join(file)));
    }
    // What the checkout itself says is searched, not believed.
    files.retain(|file| !file.starts_with(checkout::root()) || is_cargo_home(file));
    Ok(files)
}

fn is_cargo_home(file: &Path) -> bool {
    checkout::cargo_home().is_ok_and(|home| file.starts_with(home))
}

/// The hosts of the URLs in a text. A name without a dot is of this machine
/// and an address says nothing.
fn hosts_of(text: &str) -> impl Iterator<Item = &str> {
    text.split("://")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| c == '/' || c == ',' || c.is_whitespace() || "\"';|".contains(c))
                .next()
        })
        .filter_map(|authority| authority.rsplit('@').next()?.split(':').next())
        .filter(|host| host.contains('.') && host.contains(char::is_alphabetic))
        .filter(|host| !ORDINARY.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_without_its_credentials_and_port() {
        let text = "index-url = \"https://user:word@pypi.mirror.test:8443/simple\"\n\
                    registry = 'sparse+http://crates.mirror.test/'";
        assert_eq!(
            hosts_of(text).collect::<Vec<_>>(),
            ["pypi.mirror.test", "crates.mirror.test"]
        );
    }

    #[test]
    fn hosts_in_a_list_are_found_one_by_one() {
        let text = "https://go.mirror.test,https://go2.mirror.test|direct";
        assert_eq!(
            hosts_of(text).collect::<Vec<_>>(),
            ["go.mirror.test", "go2.mirror.test"]
        );
    }

    #[test]
    fn addresses_and_local_names_are_no_registries() {
        assert_eq!(
            hosts_of("http://127.0.0.1:3128 http://proxy:1 https://github.com/x").count(),
            0
        );
    }

    #[test]
    fn a_lock_file_may_name_the_public_registry_only() {
        let lock = format!("source = \"{CANONICAL}\"\nsource = \"registry+https://m.test/i\"\n");
        assert_eq!(
            strangers(&lock).collect::<Vec<_>>(),
            ["registry+https://m.test/i"]
        );
    }
}
