//! `cargo xtask setup`: what the other commands need, each only if it is
//! missing. What is built lands below `target/tools`.

mod package;
mod rust_src;
mod tool;

use anyhow::Result;

pub(crate) use package::{
    ARM64_GCC, CRUN, PROMETHEUS, Package, QEMU_USER, RUNC, S390X_GCC, STRACE, is_there, packages,
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
        packages(&package::ALL),
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

/// What compiling the standard library takes.
pub(crate) fn rust_src() -> Result<()> {
    rust_src::install(false).map(drop)
}

/// What building the BPF objects takes.
pub(crate) fn bpf() -> Result<()> {
    rust_src()?;
    tool::install(&tool::BPF_LINKER).map(drop)
}

/// What checking the dependencies takes.
pub(crate) fn cargo_deny() -> Result<()> {
    tool::install(&tool::CARGO_DENY).map(drop)
}

/// What fuzzing takes: libFuzzer is C++.
pub(crate) fn fuzz() -> Result<()> {
    packages(&[package::GXX]);
    tool::install(&tool::CARGO_FUZZ).map(drop)
}
