//! `cargo xtask check`: everything that can be said of the tree without running
//! it.

mod architecture;
mod features;
mod links;
mod publish;
mod registry_host;
mod rooms;

use anyhow::{Context, Result};

use crate::{bpf, checkout, command, openapi, parts::Parts, setup};

/// Check style, lints, documentation, dependencies and the committed objects
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run() -> Result<()> {
    let mut parts = Parts::new();
    parts.run("format", format);
    parts.run("clippy", clippy);
    parts.run("features", features::check);
    parts.run("clippy for BPF", clippy_bpf);
    parts.run("arm64", arm64);
    parts.run("documentation", documentation);
    parts.run("API documents", openapi::check);
    parts.run("links", links::check);
    parts.run("rooms", rooms::check);
    parts.run("table of rooms", architecture::check);
    parts.run("dependencies", dependencies);
    parts.run("registry hosts", registry_host::check);
    parts.run("BPF objects", bpf::check);
    parts.run("packages", publish::check);
    parts.finish()
}

fn format() -> Result<()> {
    command::run(checkout::cargo().args(["fmt", "--all", "--check"]))
        .context("run `cargo fmt --all`")
}

fn clippy() -> Result<()> {
    command::run(
        checkout::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(["--", "-D", "warnings"]),
    )
    .context("lint what runs on the host")
}

/// The contract library too: its arithmetic must be right in both byte orders.
fn clippy_bpf() -> Result<()> {
    setup::bpf()?;
    for target in bpf::TARGETS {
        command::run(bpf::toolchain("clippy", target)?.args(["--", "-D", "warnings"]))
            .context("lint what runs in the kernel")?;
    }
    Ok(())
}

/// What ships, for the other architecture that people have. Its standard library
/// is compiled too, because no more of a toolchain need be there than for BPF.
fn arm64() -> Result<()> {
    let mut cargo = checkout::cargo();
    cargo.args(["check", "--locked", "--package", "probe-cli"]);
    cargo.args(["--target", "aarch64-unknown-linux-gnu"]);
    setup::build_std(&mut cargo, "std,panic_abort")?;
    command::run(&mut cargo).context("compile for aarch64")
}

fn documentation() -> Result<()> {
    command::run(
        checkout::cargo()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
    .context("build the documentation")
}

/// Offline, because the index of a mirror need not have what is locked here.
fn dependencies() -> Result<()> {
    setup::cargo_deny()?;
    command::quiet(checkout::cargo().args(["fetch", "--locked"]))
        .context("fetch the dependencies")?;
    command::run(
        checkout::cargo_deny()
            .args(["--offline", "check"])
            .args(["bans", "licenses", "sources"]),
    )
    .context("check the dependencies")
}
