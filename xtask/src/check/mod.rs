//! `cargo xtask check`: the checks that do not run probe.

mod documents;
mod packages;
mod registry_host;
mod rooms;

use anyhow::{Context, Result};

use crate::{bpf, checkout, command, openapi, parts::Parts, setup};

pub(crate) fn run() -> Result<()> {
    let mut parts = Parts::default();
    parts.run("format", || cargo("fmt --all --check"));
    parts.run("clippy", || {
        cargo("clippy --workspace --all-targets --locked -- -D warnings")
    });
    parts.run("features", packages::features);
    parts.run("clippy for BPF", clippy_bpf);
    parts.run("arm64", arm64);
    parts.run("documentation", documentation);
    parts.run("API documents", openapi::check);
    parts.run("links", documents::links);
    parts.run("rooms", rooms::check);
    parts.run("table of rooms", documents::rooms);
    parts.run("dependencies", dependencies);
    parts.run("registry hosts", registry_host::check);
    parts.run("BPF objects", bpf::check);
    parts.run("packages", packages::publish);
    parts.finish()
}

fn cargo(words: &str) -> Result<()> {
    command::run(&mut checkout::cargo(words))
}

/// Lints the contract library too, because its arithmetic must be right in both byte orders.
fn clippy_bpf() -> Result<()> {
    setup::bpf_linker()?;
    for target in bpf::TARGETS {
        command::run(bpf::toolchain("clippy", target)?.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Compiles probe for arm64, the other common architecture. The standard library is
/// compiled too, so that the toolchain needs no more than for BPF.
fn arm64() -> Result<()> {
    let target = "aarch64-unknown-linux-gnu";
    let mut cargo = checkout::cargo("check --locked --package probe-cli --target");
    setup::build_std(cargo.arg(target), "std,panic_abort")?;
    command::run(&mut cargo)
}

fn documentation() -> Result<()> {
    let mut doc = checkout::cargo("doc --workspace --no-deps --document-private-items --locked");
    command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs cargo-deny with `--offline`, because the index of a mirror may lack the locked
/// versions. `cargo fetch` downloads the dependencies before.
fn dependencies() -> Result<()> {
    let mut deny = setup::cargo_deny()?;
    command::quiet(&mut checkout::cargo("fetch --locked")).context("fetch the dependencies")?;
    command::run(deny.args(["--offline", "check", "bans", "licenses", "sources"]))
}

/// `cargo xtask advisories` is not a part of the check, because its answer changes without
/// a change of the checkout.
pub(crate) fn advisories() -> Result<()> {
    println!("fetching the advisory database: this needs the network");
    command::run(setup::cargo_deny()?.args(["check", "advisories"]))
}
