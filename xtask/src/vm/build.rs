//! The programs that run inside.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{checkout, command};

/// With static libraries of its own, whatever the host's target is by default.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What the tests run by name.
pub(super) const BINS: [&str; 13] = [
    "bench_waiter",
    "crowd",
    "deny",
    "init",
    "measure",
    "screen_panic",
    "soak",
    "soak_spawner",
    "stop_at_syscall",
    "storm",
    "victim",
    "waits",
    "workload",
];

/// Built programs.
pub(super) struct Programs {
    pub(super) integration: PathBuf,
    pub(super) probe: PathBuf,
    /// Where all others are.
    pub(super) directory: PathBuf,
}

/// A message of cargo about a thing that it built.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Linked statically. `probe` as it ships, the tests half optimised: what is
/// emulated runs slowly enough.
pub(super) fn build() -> Result<Programs> {
    println!("building the tests statically");
    let cargo = |verb| {
        let mut cargo = cargo(verb);
        cargo
            .env("CARGO_TARGET_DIR", checkout::target().join("vm/build"))
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .args(["--target", TARGET]);
        cargo
    };
    let integration = integration(cargo("test"))?;
    let mut rest = cargo("build");
    rest.args(["--package", "probe-tests", "--bins"]);
    command::run(&mut rest).context("build what the tests run")?;
    let mut probe = cargo("build");
    probe.args(["--package", "probe-cli", "--release"]);
    command::run(&mut probe).context("build probe")?;
    let directory = directory(&integration)?;
    Ok(Programs {
        probe: directory.with_file_name("release").join("probe"),
        directory,
        integration,
    })
}

/// What `cargo xtask test` builds too: the binary that ships, and tests with the
/// libraries of this machine.
pub(super) fn built() -> Result<Programs> {
    checkout::build_probe()?;
    let integration = integration(cargo("test"))?;
    Ok(Programs {
        probe: checkout::probe(),
        directory: directory(&integration)?,
        integration,
    })
}

/// Builds the integration tests, and with them what they run.
fn integration(mut cargo: Command) -> Result<PathBuf> {
    cargo.args(["--no-run", "--package", "probe-tests"]);
    cargo.args(["--test", "integration", "--message-format=json"]);
    let messages = command::stdout(&mut cargo).context("build the integration tests")?;
    let integration = messages.lines().find_map(executable);
    integration.context("cargo names no executable of the integration tests")
}

fn directory(integration: &Path) -> Result<PathBuf> {
    let directory = integration.parent().and_then(Path::parent);
    let directory = directory.context("tests are in target/PROFILE/deps")?;
    Ok(directory.to_path_buf())
}

fn executable(message: &str) -> Option<PathBuf> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    artifact
        .executable
        .filter(|_| artifact.target.name == "integration")
}

fn cargo(verb: &str) -> Command {
    let mut cargo = checkout::cargo();
    cargo.arg(verb).args(["--quiet", "--locked"]);
    cargo
}
