//! `cargo xtask dist`: what a package of probe contains, and a tarball of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{checkout, command};

/// Make a release: binary, completions, man pages, units, documents, and a tarball
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Shells, and where their completions look for a script.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "probe.bash"),
    ("zsh", "_probe"),
    ("fish", "probe.fish"),
];

const DOCUMENTS: [&str; 5] = [
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "probe-ebpf/LICENSE-GPL2",
    "README.md",
    "CHANGELOG.md",
];

/// Where what a machine's services need is kept: a directory for each.
const SERVICES: &str = "dist";

pub(crate) fn run() -> Result<()> {
    let name = format!("probe-{}-{}", env!("CARGO_PKG_VERSION"), checkout::host()?);
    let dist = checkout::target().join("dist");
    let release = dist.join(&name);
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("remove {}", dist.display()))?;
    }
    for directory in ["completions", "man"] {
        let directory = release.join(directory);
        fs::create_dir_all(&directory)
            .with_context(|| format!("create {}", directory.display()))?;
    }
    binary(&release).context("build the binary")?;
    completions(&release).context("write the completions")?;
    man(&release.join("man")).context("write the man pages")?;
    documents(&release)?;
    services(&release)?;
    files(&checkout::root().join("docs"), &release.join("docs"))?;
    tarball(&dist, &name).context("pack")?;
    println!("{0}/{name}/ and {0}/{name}.tar.gz", dist.display());
    Ok(())
}

fn binary(release: &Path) -> Result<()> {
    command::run(checkout::cargo().args(["build", "--release", "--locked", "-p", "probe-cli"]))?;
    copy(&checkout::probe(), &release.join("probe"))
}

fn completions(release: &Path) -> Result<()> {
    for (shell, file) in COMPLETIONS {
        let script = command::stdout(Command::new(checkout::probe()).args(["completions", shell]))?;
        let file = release.join("completions").join(file);
        fs::write(&file, script).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

fn man(directory: &Path) -> Result<()> {
    command::run(
        checkout::cargo()
            .args([
                "run",
                "--quiet",
                "--locked",
                "-p",
                "probe-cli",
                "--example",
                "man",
                "--",
            ])
            .arg(directory),
    )
}

fn documents(release: &Path) -> Result<()> {
    for document in DOCUMENTS {
        let from = checkout::root().join(document);
        copy(&from, &release.join(from.file_name().context("a file")?))?;
    }
    Ok(())
}

/// Units, manifests and dashboards, each kind in a directory as in the repository.
fn services(release: &Path) -> Result<()> {
    let root = checkout::root().join(SERVICES);
    for kind in entries(&root)? {
        files(
            &kind,
            &release.join(kind.file_name().context("a directory")?),
        )?;
    }
    Ok(())
}

fn files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    for file in entries(from)? {
        copy(&file, &to.join(file.file_name().context("a file")?))?;
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("list {}", directory.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

fn tarball(dist: &Path, name: &str) -> Result<()> {
    command::run(
        Command::new("tar")
            .current_dir(dist)
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["-czf", &format!("{name}.tar.gz"), name]),
    )
}
