//! Host names of package registries. They belong to the machine that builds, and must not
//! get into a file of the checkout. The names are read from the configuration of this
//! machine, so that no name is written down here.

use std::{collections::BTreeSet, env};

use anyhow::{Result, ensure};
use fs_err as fs;

use crate::{checkout, command};

/// Hosts that files may name even if this machine gets packages from them, because the
/// documentation links to them.
const ORDINARY: [&str; 2] = ["github.com", "crates.io"];

/// Words in the names of variables that tell a program where to download.
const VARIABLES: &str = "INDEX REGISTRY MIRROR PROXY DIST_SERVER UPDATE_ROOT";

/// Fails if a file names a registry that this machine uses.
pub(super) fn check() -> Result<()> {
    let configuration = configuration()?;
    let hosts: BTreeSet<_> = configuration.iter().flat_map(|it| hosts_of(it)).collect();
    let mut found = Vec::new();
    for file in checkout::files()? {
        let bytes = fs::read(checkout::root().join(&file))?;
        let text = String::from_utf8_lossy(&bytes);
        let named = hosts.iter().filter(|host| text.contains(**host));
        found.extend(named.map(|host| format!("{} names {host}", file.display())));
    }
    let found = found.join("\n  ");
    ensure!(found.is_empty(), "registries of this machine:\n  {found}");
    println!(
        "{} registry hosts of this machine are in no file",
        hosts.len()
    );
    Ok(())
}

/// Variables, files of cargo and output of apt that may name registries.
fn configuration() -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for (name, value) in env::vars_os() {
        let name = name.to_string_lossy().to_uppercase();
        if VARIABLES.split(' ').any(|it| name.contains(it)) {
            texts.push(value.to_string_lossy().into_owned());
        }
    }
    // A file of the checkout itself is searched like its other files.
    for directory in checkout::root().ancestors().skip(1) {
        texts.extend(fs::read_to_string(directory.join(".cargo/config.toml")).ok());
    }
    texts.extend(fs::read_to_string(checkout::cargo_home()?.join("config.toml")).ok());
    // A machine that is not Debian or based on it has no apt.
    let mut apt = command::new("apt-get indextargets --no-release-info --format=$(REPO_URI)");
    texts.extend(command::stdout(&mut apt).ok());
    Ok(texts)
}

/// The hosts of the URLs in a text, without credentials and ports. Names without a dot are
/// local, and IP addresses identify no registry, so both are left out.
fn hosts_of(text: &str) -> impl Iterator<Item = &str> {
    let ends = |it: char| it.is_whitespace() || "/,\"';|".contains(it);
    text.split("://")
        .skip(1)
        .filter_map(move |rest| rest.split(ends).next())
        .filter_map(|authority| authority.rsplit('@').next()?.split(':').next())
        .filter(|host| host.contains('.') && host.contains(char::is_alphabetic))
        .filter(|host| !ORDINARY.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_without_credentials_and_ports() {
        let text = "index-url = \"https://user:word@pypi.mirror.test:8443/simple\"\n\
                    registry = 'sparse+http://crates.mirror.test/'\n\
                    https://go.mirror.test,https://go2.mirror.test|direct\n\
                    http://127.0.0.1:3128 http://proxy:1 https://github.com/x";
        let hosts = ["pypi", "crates", "go", "go2"].map(|it| format!("{it}.mirror.test"));
        assert!(hosts_of(text).eq(&hosts));
    }
}
