//! `cargo xtask setup`: what the other commands need, each only if it is
//! missing. What is built lands below `target/tools`.

mod package;
mod rust_src;
mod tool;

use std::process::Command;

use anyhow::Result;

pub(crate) use package::{
    CROSS_GCC, GXX, PROMETHEUS, QEMU_SYSTEM, QEMU_USER, TOOLS, behind, is_there, packages, root_of,
};

/// The compiler that the committed objects and the tools' versions belong to.
pub(crate) const RUSTC: &str = "1.95";

/// Install what the developer commands need
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show what the programs that are asked say
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let done = [
        rust_src::install(args.verbose)?,
        tool::install(&tool::BPF_LINKER)?,
        tool::install(&tool::CARGO_DENY)?,
        tool::install(&tool::CARGO_FUZZ)?,
        packages(&TOOLS),
        packages(&CROSS_GCC),
        packages(&[package::EXITSNOOP, PROMETHEUS, GXX, QEMU_USER, QEMU_SYSTEM]),
    ];
    if done.contains(&true) {
        println!("everything is there now");
    } else {
        println!(
            "nothing to do: rust-src, bpf-linker, cargo-deny, cargo-fuzz and the Debian packages \
             are there"
        );
    }
    Ok(())
}

/// Has cargo compile the standard library with a stable compiler.
pub(crate) fn build_std(cargo: &mut Command, crates: &str) -> Result<()> {
    rust_src::install(false)?;
    cargo.args(["-Z", &format!("build-std={crates}")]);
    cargo.env("RUSTC_BOOTSTRAP", "1");
    // cargo asks no other variable for sources that are not the toolchain's.
    cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", rust_src::library()?);
    Ok(())
}

/// What building the BPF objects takes.
pub(crate) fn bpf() -> Result<()> {
    tool::install(&tool::BPF_LINKER).map(drop)
}

/// What checking the dependencies takes.
pub(crate) fn cargo_deny() -> Result<()> {
    tool::install(&tool::CARGO_DENY).map(drop)
}

/// What fuzzing takes: libFuzzer is C++.
pub(crate) fn fuzz() -> Result<()> {
    packages(&[GXX]);
    tool::install(&tool::CARGO_FUZZ).map(drop)
}
