//! `cargo xtask setup`: the programs that the other commands need, each only if it is
//! missing. What is built or unpacked is below `target/tools`.

mod newer;
mod package;
mod rust_src;

use std::process::Command;

use anyhow::Result;
use fs_err as fs;

pub(crate) use newer::waitpid;
pub(crate) use package::{behind, is_there, packages, root_of};

use crate::{checkout, command};

/// The compiler that the committed objects and the versions of the tools belong to.
pub(crate) const RUSTC: &str = "1.95";

/// Install what the developer commands need
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show the output of rustup
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut is_any_new = rust_src::install(args.verbose)?;
    for tool in [&BPF_LINKER, &CARGO_DENY, &CARGO_FUZZ] {
        is_any_new |= tool.install()?;
    }
    for group in package::GROUPS.split(' ') {
        is_any_new |= packages(group);
    }
    let news = if is_any_new {
        "everything is there now"
    } else {
        "nothing to do"
    };
    println!("{news}");
    Ok(())
}

/// A program from crates.io: name, version and options of the installation.
struct Tool(&'static str, &'static str, &'static str);

/// 0.10 is the last release that links with the compiler's own LLVM; later ones need an
/// installed LLVM.
const BPF_LINKER: Tool = Tool("bpf-linker", "0.10.4", RUST_LLVM);
const RUST_LLVM: &str = "--no-default-features --features rust-llvm-22";

/// The newest that rustc 1.95 compiles. An optimised build takes four times as long and
/// saves a second of a run.
const CARGO_DENY: Tool = Tool("cargo-deny", "0.18.9", "--debug");

/// cargo-fuzz only chooses flags for the compiler, so an unoptimised build is fast enough.
const CARGO_FUZZ: Tool = Tool("cargo-fuzz", "0.13.2", "--debug");

impl Tool {
    /// Builds the tool unless it is there; returns whether it did.
    fn install(&self) -> Result<bool> {
        let Self(name, version, options) = self;
        let program = checkout::tool(name);
        let found = command::stdout(Command::new(program).arg("--version"));
        if found.is_ok_and(|it| it.split_whitespace().any(|word| word == *version)) {
            return Ok(false);
        }
        println!("{name} {version}: building (1 to 2 minutes on 2 CPUs)");
        let tools = checkout::tools();
        // A directory of its own lets an interrupted build continue.
        let build = tools.join("build").join(name);
        let line = format!("install {name} --version {version} --locked --force {options} --root");
        let mut cargo = checkout::cargo(&line);
        cargo.arg(&tools).env("CARGO_TARGET_DIR", &build);
        command::run(cargo.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
        fs::remove_dir_all(&build)?;
        Ok(true)
    }
}

/// Has cargo compile the standard library with a stable compiler.
pub(crate) fn build_std(cargo: &mut Command, crates: &str) -> Result<()> {
    rust_src::install(false)?;
    cargo.args(["-Z", &format!("build-std={crates}")]);
    cargo.env("RUSTC_BOOTSTRAP", "1");
    // The only variable with which cargo takes sources from outside the toolchain.
    cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", rust_src::library()?);
    Ok(())
}

/// Installs the linker of the BPF objects.
pub(crate) fn bpf_linker() -> Result<()> {
    BPF_LINKER.install().map(drop)
}

/// cargo-deny for the workspace, installed.
pub(crate) fn cargo_deny() -> Result<Command> {
    CARGO_DENY.install()?;
    let mut deny = Command::new(checkout::tool("cargo-deny"));
    deny.current_dir(checkout::root())
        .args(["--locked", "--workspace"]);
    Ok(deny)
}

/// cargo-fuzz at the root, installed with the C++ compiler that libFuzzer needs.
pub(crate) fn cargo_fuzz() -> Result<Command> {
    packages("g++");
    CARGO_FUZZ.install()?;
    let mut fuzz = Command::new(checkout::tool("cargo-fuzz"));
    fuzz.current_dir(checkout::root()).env_remove("RUSTFLAGS");
    Ok(fuzz)
}
