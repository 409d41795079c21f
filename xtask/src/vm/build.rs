//! The programs that run inside, linked statically: no guest needs to have the
//! libraries of the machine that built them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{checkout, command};

/// With static libraries of its own, whatever the host's target is by default.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What the tests run by name.
pub(super) const BINS: [&str; 12] = [
    "bell",
    "crowd",
    "deny",
    "hold",
    "init",
    "screen_panic",
    "soak",
    "soak_nursery",
    "storm",
    "victim",
    "waits",
    "workload",
];

/// Built programs.
pub(super) struct Programs {
    pub(super) integration: PathBuf,
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

pub(super) fn build() -> Result<Programs> {
    println!("building the tests statically");
    let mut tests = cargo("test");
    tests.args(["--no-run", "--package", "probe-tests"]);
    tests.args(["--test", "integration", "--message-format=json"]);
    let messages = command::stdout(&mut tests).context("build the integration tests")?;
    let integration = messages.lines().find_map(executable);
    let Some(integration) = integration else {
        bail!("cargo names no executable of the integration tests");
    };
    let mut rest = cargo("build");
    rest.args(["--package", "probe-tests", "--package", "probe-user"]);
    command::run(rest.arg("--bins")).context("build what the tests run")?;
    let directory = integration.parent().and_then(Path::parent);
    let directory = directory.context("tests are in target/PROFILE/deps")?;
    Ok(Programs {
        directory: directory.to_path_buf(),
        integration,
    })
}

fn executable(message: &str) -> Option<PathBuf> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    artifact
        .executable
        .filter(|_| artifact.target.name == "integration")
}

/// Half optimised: what is emulated runs slowly enough, and a release build
/// takes minutes.
fn cargo(verb: &str) -> Command {
    let mut cargo = checkout::cargo();
    cargo
        .arg(verb)
        .env("CARGO_TARGET_DIR", checkout::target().join("vm/build"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .args(["--quiet", "--locked", "--target", TARGET]);
    cargo
}
