//! Developer commands: `cargo xtask COMMAND`, one file for each.
//!
//! Nothing here depends on the crates that it builds, so that a tree which
//! does not compile can still be repaired.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer reads it"
)]

mod advisories;
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
    Check(check::Args),
    Advisories(advisories::Args),
    Test(test::Args),
    Soak(soak::Args),
    Fuzz(fuzz::Args),
    Demo(demo::Args),
    Openapi(openapi::Args),
    Dist(dist::Args),
    Bench(bench::Args),
    Vm(vm::Args),
}

fn main() -> ExitCode {
    let result = match Xtask::parse() {
        Xtask::Setup(args) => setup::run(&args),
        Xtask::Bpf(args) => bpf::run(&args),
        Xtask::Check(check::Args {}) => check::run(),
        Xtask::Advisories(advisories::Args {}) => advisories::run(),
        Xtask::Test(args) => test::run(&args),
        Xtask::Soak(args) => soak::run(&args),
        Xtask::Fuzz(args) => fuzz::run(&args),
        Xtask::Demo(args) => demo::run(&args),
        Xtask::Openapi(openapi::Args {}) => openapi::run(),
        Xtask::Dist(dist::Args {}) => dist::run(),
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
