//! `cargo xtask dist`: the release, as a directory and as an archive.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{checkout, command};

/// Files and directories of the checkout, and their places in the release. `dist` has a
/// directory for units, one for manifests and one for dashboards.
const COPIED: [(&str, &str); 10] = [
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("probe-ebpf/LICENSE-GPL2", "LICENSE-GPL2"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("ARCHITECTURE.md", "ARCHITECTURE.md"),
    ("docs", "docs"),
    ("probe-daemon/schemas", "schemas"),
    ("probe-user/examples", "examples"),
    ("dist", ""),
];

/// Files that [`check`] looks for beside the copied ones.
const GENERATED: &str = "probe man/probe.1 man/probe-wait.1 man/probe-daemon.1 \
                         completions/probe.bash completions/_probe completions/probe.fish completions/probe.nu";

pub(crate) fn run() -> Result<()> {
    checkout::build_probe()?;
    let archive = make(&checkout::target().join("dist"))?;
    println!("{}", archive.display());
    Ok(())
}

/// Makes a release, unpacks its archive, and fails if a file is missing in it or if its
/// binary does not run. The binary must be built already.
pub(crate) fn check() -> Result<()> {
    let directory = checkout::target().join("tmp/dist");
    let archive = make(&directory)?;
    let unpacked = directory.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    let mut tar = Command::new("tar");
    command::quiet(tar.current_dir(&unpacked).arg("-xzf").arg(&archive))?;
    let root = unpacked.join(name()?);
    let mut expected: Vec<_> = GENERATED.split(' ').map(PathBuf::from).collect();
    for file in checkout::files()? {
        let place = |(from, to): (&str, &str)| {
            let below = file.strip_prefix(from).ok()?;
            let is_file = below.as_os_str().is_empty();
            Some(if is_file {
                to.into()
            } else {
                Path::new(to).join(below)
            })
        };
        expected.extend(COPIED.into_iter().filter_map(place));
    }
    for file in expected.iter().map(|it| root.join(it)) {
        ensure!(file.is_file(), "the archive has no {}", file.display());
    }
    let version = command::stdout(Command::new(root.join("probe")).arg("--version"))?;
    let expected = format!("probe {}", env!("CARGO_PKG_VERSION"));
    ensure!(
        version.trim() == expected,
        "it is not {expected}: {version}"
    );
    Ok(fs::remove_dir_all(&directory)?)
}

fn name() -> Result<String> {
    let host = checkout::host()?;
    Ok(format!("probe-{}-{host}", env!("CARGO_PKG_VERSION")))
}

/// Makes the release and its archive in a directory; returns the path of the archive.
fn make(directory: &Path) -> Result<PathBuf> {
    checkout::empty(directory)?;
    let name = name()?;
    let release = directory.join(&name);
    fs::create_dir(&release)?;
    fs::copy(checkout::probe(), release.join("probe"))?;
    for (from, to) in COPIED {
        copy(&checkout::root().join(from), &release.join(to))?;
    }
    fs::create_dir(release.join("completions"))?;
    // The file names under which the shells look for completions.
    let names = [
        ("bash", "probe.bash"),
        ("zsh", "_probe"),
        ("fish", "probe.fish"),
        ("nushell", "probe.nu"),
    ];
    for (shell, file) in names {
        let script = command::stdout(Command::new(checkout::probe()).args(["completions", shell]))?;
        fs::write(release.join("completions").join(file), script)?;
    }
    fs::create_dir(release.join("man"))?;
    let mut man = Command::new(checkout::probe());
    command::run(man.arg("man").arg(release.join("man"))).context("write the man pages")?;
    let archive = directory.join(format!("{name}.tar.gz"));
    let mut tar = command::new("tar --sort=name --owner=0 --group=0 --numeric-owner -czf");
    command::run(
        tar.current_dir(directory)
            .args([&archive, Path::new(&name)]),
    )?;
    Ok(archive)
}

/// Copies a file, or a directory with everything below it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        return Ok(fs::copy(from, to).map(drop)?);
    }
    fs::create_dir_all(to)?;
    for entry in checkout::entries(from)? {
        copy(&entry, &to.join(entry.file_name().unwrap_or_default()))?;
    }
    Ok(())
}
