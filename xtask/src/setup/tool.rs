//! Cargo commands and linkers, built into `target/tools`.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{checkout, command};

/// A program from crates.io.
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
    options: &'static [&'static str],
    /// What to expect of the installation.
    cost: &'static str,
}

/// 0.10 is the last that links with the compiler's own LLVM; later ones need
/// an LLVM that somebody installs.
pub(super) const BPF_LINKER: Tool = Tool {
    name: "bpf-linker",
    version: "0.10.4",
    options: &["--no-default-features", "--features", "rust-llvm-22"],
    cost: "2 minutes on 2 CPUs",
};

/// The newest that rustc 1.95 compiles. Optimising it takes four times as long
/// and saves a second of a run.
pub(super) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.18.9",
    options: &["--debug"],
    cost: "2 minutes on 2 CPUs",
};

/// It only chooses the compiler's flags: unoptimised is fast enough.
pub(super) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    options: &["--debug"],
    cost: "1 minute on 2 CPUs",
};

/// Builds it unless it is there; says whether it did.
pub(super) fn install(tool: &Tool) -> Result<bool> {
    if is_there(tool) {
        return Ok(false);
    }
    println!("{} {}: building ({})", tool.name, tool.version, tool.cost);
    let tools = checkout::tools();
    // Of its own, so that an interrupted build goes on where it stopped.
    let build = tools.join("build").join(tool.name);
    command::run(
        checkout::cargo()
            .args([
                "install",
                tool.name,
                "--version",
                tool.version,
                "--locked",
                "--force",
            ])
            .args(tool.options)
            .arg("--root")
            .arg(&tools)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TARGET_DIR", &build),
    )
    .with_context(|| format!("install {}", tool.name))?;
    fs::remove_dir_all(&build).with_context(|| format!("remove {}", build.display()))?;
    println!("{} {}: built", tool.name, tool.version);
    Ok(true)
}

fn is_there(tool: &Tool) -> bool {
    let program = checkout::tool(tool.name);
    program.is_file()
        && command::stdout(Command::new(program).arg("--version"))
            .is_ok_and(|answer| answer.split_whitespace().any(|word| word == tool.version))
}
