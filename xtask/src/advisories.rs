//! `cargo xtask advisories`: known vulnerabilities in the dependencies. Apart
//! from `check`, because the answer changes without a change of ours.

use anyhow::{Context, Result};

use crate::{checkout, command, setup};

/// Look for known vulnerabilities in the dependencies (needs the network)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run() -> Result<()> {
    setup::cargo_deny()?;
    println!("fetching the advisory database: this needs the network");
    command::run(checkout::cargo_deny().args(["check", "advisories"]))
        .context("check the dependencies against the advisory database")
}
