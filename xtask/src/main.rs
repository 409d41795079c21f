//! Developer commands: `cargo xtask COMMAND`, one file for each.
//!
//! xtask depends on no crate that it builds, so that it runs in a tree that does not
//! compile.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer reads it"
)]

mod apt;
mod bench;
mod bpf;
mod check;
mod checkout;
mod command;
mod demo;
mod dist;
mod environment;
mod fuzz;
mod openapi;
mod parts;
mod privilege;
mod setup;
mod soak;
mod table;
mod test;
mod vm;

use std::process::ExitCode;

use clap::Parser;

/// Developer commands of probe
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Xtask {
    Setup(setup::Args),
    Bpf(bpf::Args),
    /// Check style, lints, documentation, dependencies and the committed objects
    Check,
    /// Look for known vulnerabilities in the dependencies (needs the network)
    Advisories,
    Test(test::Args),
    Engines(test::engines::Args),
    Soak(soak::Args),
    Fuzz(fuzz::Args),
    Demo(demo::Args),
    /// Write docs/openapi.json and the reference in docs/api.md
    Openapi,
    /// Make a release: binary, completions, man pages, units, documents, and an archive
    Dist,
    Bench(bench::Args),
    Vm(vm::Args),
}

fn main() -> ExitCode {
    let result = match Xtask::parse() {
        Xtask::Setup(args) => setup::run(&args),
        Xtask::Bpf(args) => bpf::run(&args),
        Xtask::Check => check::run(),
        Xtask::Advisories => check::advisories(),
        Xtask::Test(args) => test::run(&args),
        Xtask::Engines(args) => test::engines::run(&args),
        Xtask::Soak(args) => soak::run(&args),
        Xtask::Fuzz(args) => fuzz::run(&args),
        Xtask::Demo(args) => demo::run(&args),
        Xtask::Openapi => openapi::run(),
        Xtask::Dist => dist::run(),
        Xtask::Bench(args) => bench::run(&args),
        Xtask::Vm(args) => vm::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
