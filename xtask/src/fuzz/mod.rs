//! `cargo xtask fuzz`: random bytes for every parser of what others wrote.
//!
//! What a target is, is in the package `fuzz`: this builds them and runs them
//! one after the other.

mod session;

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use self::session::{Limit, Session};
use crate::{checkout, command, setup};

/// Fuzz the parsers, one target after the other
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// This target alone
    #[arg(long)]
    target: Option<String>,

    /// How long to fuzz each
    #[arg(long, default_value_t = LONG)]
    seconds: u64,

    /// Then add to the committed corpus what reaches code that nothing in it
    /// reaches
    #[arg(long)]
    keep: bool,
}

/// Seconds for each target after which nothing new is to be expected soon.
pub(crate) const LONG: u64 = 600;

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut targets = targets()?;
    if let Some(only) = &args.target {
        ensure!(
            targets.contains(only),
            "no target {only}: there are {}",
            targets.join(", ")
        );
        targets.retain(|it| it == only);
    }
    build()?;
    fuzz(&targets, Limit::Seconds(args.seconds))?;
    if args.keep {
        fuzz(&targets, Limit::Merge)?;
    }
    Ok(())
}

/// What `cargo xtask test` runs: every target, each for so long.
pub(crate) fn test(seconds: u64) -> Result<()> {
    build()?;
    fuzz(&targets()?, Limit::Seconds(seconds))
}

/// Names, sorted.
fn targets() -> Result<Vec<String>> {
    let directory = checkout::root().join("fuzz/targets");
    let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
    let mut targets = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|it| it.strip_suffix(".rs"));
        targets.push(name.context("targets hold Rust only")?.to_owned());
    }
    targets.sort();
    Ok(targets)
}

/// Without a sanitizer: ours is safe Rust, in which `AddressSanitizer` finds
/// nothing at half the speed, and it would take an unstable flag. What the
/// compiler can check, overflows and debug assertions, cargo-fuzz has it check.
fn build() -> Result<()> {
    setup::fuzz()?;
    let gxx = command::find("g++").context("no g++ for libFuzzer")?;
    let linker = checkout::target_variable(&checkout::host()?, "LINKER");
    println!("building the fuzz targets (2 minutes on 2 CPUs the first time)");
    command::run(
        checkout::cargo_fuzz()
            .args(["build", "--fuzz-dir", "fuzz", "--features", "libfuzzer"])
            .args(["--sanitizer", "none"])
            // Many units compile in a third of the time, and run half as fast.
            .args(["--codegen-units", "16"])
            .arg("--target-dir")
            .arg(session::directory())
            // The release that ships takes minutes to link, and has no symbols.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_STRIP", "none")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_TERM_QUIET", "true")
            // It finds its own libraries where it is unpacked.
            .env("CXX", &gxx)
            .env(linker, &gxx),
    )
    .context("build the fuzz targets")
}

/// All of them, whatever the others find, and a table of it.
fn fuzz(targets: &[String], limit: Limit) -> Result<()> {
    let mut table = format!(
        "{:16} {:>12} {:>9}  findings\n",
        "target", "runs", "coverage"
    );
    let mut findings = Vec::new();
    for target in targets {
        println!("fuzzing {target} {limit}");
        let session = Session::run(target, limit)?;
        table.push_str(&session.row());
        findings.extend(session.findings());
    }
    print!("\n{table}");
    if findings.is_empty() {
        return Ok(());
    }
    println!("\nMend it, and put the file into fuzz/corpus/TARGET. To replay:");
    for (target, file) in &findings {
        println!(
            "  cargo run -p probe-fuzz --bin {target} {}",
            file.display()
        );
    }
    bail!("{} findings", findings.len())
}
