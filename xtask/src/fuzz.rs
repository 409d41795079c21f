//! `cargo xtask fuzz`: builds the fuzz targets of the package `fuzz` and runs them one
//! after the other.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;

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

    /// Then add inputs to the committed corpus that reach code which nothing in it reaches
    #[arg(long)]
    keep: bool,
}

/// Seconds for each target after which new findings are rare.
pub(crate) const LONG: u64 = 600;

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut targets = targets()?;
    if let Some(only) = &args.target {
        let names = targets.join(", ");
        targets.retain(|it| it == only);
        ensure!(!targets.is_empty(), "no target {only}: there are {names}");
    }
    build()?;
    fuzz(&targets, args.seconds)?;
    for target in targets.iter().filter(|_| args.keep) {
        println!("keeping new inputs of {target}");
        // By the edges that are reached, not by how often: a fifth of the files.
        let [corpus, committed] = corpora(target)?;
        let options = ["-merge=1", "-use_counters=0"].map(str::to_owned);
        run_target(target, &options, [&committed, &corpus])?;
    }
    Ok(())
}

/// Fuzzes every target for `cargo xtask test`.
pub(crate) fn test(seconds: u64) -> Result<()> {
    build()?;
    fuzz(&targets()?, seconds)
}

fn targets() -> Result<Vec<String>> {
    let files = checkout::entries(&checkout::root().join("fuzz/targets"))?;
    let name = |file: &PathBuf| file.file_stem()?.to_str().map(str::to_owned);
    Ok(files.iter().filter_map(name).collect())
}

/// The directory of everything that is built and written.
fn directory() -> PathBuf {
    checkout::target().join("fuzz")
}

/// Builds the targets without a sanitizer: the code is safe Rust, in which
/// `AddressSanitizer` finds nothing at half the speed, and it needs an unstable flag.
/// cargo-fuzz has the compiler check overflows and debug assertions.
fn build() -> Result<()> {
    let mut cargo = setup::cargo_fuzz()?;
    let gxx = command::find("g++").context("no g++ for libFuzzer")?;
    let linker = checkout::target_variable(&checkout::host()?, "LINKER");
    println!("building the fuzz targets (2 minutes on 2 CPUs the first time)");
    // With many codegen units the targets compile in a third of the time and run half as
    // fast.
    let words = "build --fuzz-dir fuzz --features libfuzzer --sanitizer none --codegen-units 16";
    cargo
        .args(words.split(' '))
        .arg("--target-dir")
        .arg(directory())
        // With the workspace's release profile the linker would run for minutes (LTO) and strip
        // the symbols.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_TERM_QUIET", "true")
        // An unpacked g++ finds its own libraries.
        .env("CXX", &gxx)
        .env(linker, &gxx);
    command::run(&mut cargo).context("build the fuzz targets")
}

/// Runs all targets, even after one has a finding, and shows how to replay the findings.
fn fuzz(targets: &[String], seconds: u64) -> Result<()> {
    let mut replays = Vec::new();
    for target in targets {
        println!("fuzzing {target} for {seconds} s");
        let [corpus, committed] = corpora(target)?;
        let limit = format!("-max_total_time={seconds}");
        for file in run_target(target, &[limit], [&corpus, &committed])? {
            let file = file.display();
            replays.push(format!("  cargo run -p probe-fuzz --bin {target} {file}"));
        }
    }
    if replays.is_empty() {
        return Ok(());
    }
    println!("\nFix it, and put the file into fuzz/corpus/TARGET. To replay:");
    println!("{}", replays.join("\n"));
    bail!("{} findings", replays.len())
}

/// The corpus that grows, and the committed one.
fn corpora(target: &str) -> Result<[PathBuf; 2]> {
    let corpus = directory().join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    Ok([corpus, checkout::root().join("fuzz/corpus").join(target)])
}

/// Runs a target to its limit or to its first finding; returns the new findings.
fn run_target(target: &str, options: &[String], corpora: [&PathBuf; 2]) -> Result<Vec<PathBuf>> {
    let artifacts = directory().join("artifacts").join(target);
    fs::create_dir_all(&artifacts)?;
    let before = checkout::entries(&artifacts)?;
    let scratch = directory().join("tmp");
    checkout::empty(&scratch)?;
    let release = directory().join(checkout::host()?).join("release");
    let output = Command::new(release.join(target))
        .args(options)
        .args(corpora)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=25", "-max_len=4096"])
        .env("TMPDIR", &scratch)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run the fuzz target {target}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let mut found = checkout::entries(&artifacts)?;
    found.retain(|file| !before.contains(file));
    if output.status.success() {
        // The last line of the progress has the runs and the coverage.
        let last = text.lines().rfind(|it| it.starts_with('#'));
        println!("{}", last.unwrap_or_default());
    } else {
        for line in text.lines().filter(|it| !it.starts_with(['#', '\t'])) {
            eprintln!("{line}");
        }
        let status = output.status;
        ensure!(!found.is_empty(), "{target} ended with {status}");
    }
    Ok(found)
}
