//! `cargo xtask bpf`: the kernel half, as the objects that are committed.
//!
//! The bytes depend on the sources and on the versions of compiler and linker
//! alone: paths are remapped, and nothing that differs from machine to machine
//! is put into the flags.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{checkout, command, setup};

/// The byte orders, as rustc names the targets.
pub(crate) const TARGETS: [&str; 2] = ["bpfel-unknown-none", "bpfeb-unknown-none"];

/// Build the BPF objects that are committed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail if a committed object is not what its source gives
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check { check() } else { write() }
}

/// Fails if a committed object is not what its source gives.
pub(crate) fn check() -> Result<()> {
    let mut stale = Vec::new();
    for (path, built) in build()? {
        if fs::read(&path).ok().as_ref() != Some(&built) {
            stale.push(shown(&path));
        }
    }
    if stale.is_empty() {
        println!("the committed BPF objects are what probe-ebpf gives");
        return Ok(());
    }
    bail!(
        "{} not what probe-ebpf gives with {}: run `cargo xtask bpf` and commit (rustc {} is meant)",
        stale.join(" and "),
        command::stdout(Command::new("rustc").arg("--version"))?.trim(),
        setup::RUSTC,
    )
}

fn write() -> Result<()> {
    for (path, built) in build()? {
        let old = fs::read(&path).unwrap_or_default();
        let news = if old == built { "unchanged" } else { "new" };
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, &built).with_context(|| format!("write {}", path.display()))?;
        println!("{}: {} bytes, {news}", shown(&path), built.len());
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(checkout::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Each committed object with the bytes that belong there.
fn build() -> Result<Vec<(PathBuf, Vec<u8>)>> {
    setup::bpf()?;
    let mut objects = Vec::new();
    for target in TARGETS {
        let (order, _) = target.split_once('-').unwrap_or((target, ""));
        command::run(toolchain("build", target)?.args(["--bin", "probe-bpf"]))
            .context("build the BPF programs")?;
        let built = target_dir().join(target).join("bpf/probe-bpf");
        let stripped = built.with_extension("stripped");
        strip(&built, &stripped).context("strip the debug information")?;
        objects.push((
            checkout::root().join(format!("probe-user/bpf/probe.{order}.o")),
            fs::read(&stripped).with_context(|| format!("read {}", stripped.display()))?,
        ));
    }
    Ok(objects)
}

/// `cargo VERB` for the kernel half, with the toolchain that makes BPF.
pub(crate) fn toolchain(verb: &str, target: &str) -> Result<Command> {
    let mut cargo = checkout::cargo();
    cargo
        .arg(verb)
        .args(["--locked", "--package", "probe-ebpf", "--features", "bpf"])
        .args(["--target", target, "--profile", "bpf"])
        .env("CARGO_TARGET_DIR", target_dir())
        // A path in the flags would be part of the symbols' hashes.
        .env(
            checkout::target_variable(target, "LINKER"),
            checkout::tool("bpf-linker"),
        )
        // Aya's bindings differ by the machine that builds, in structs of
        // registers that no program of ours looks at.
        .env("AYA_BPF_TARGET_ARCH", "x86_64")
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    setup::build_std(&mut cargo, "core")?;
    Ok(cargo)
}

/// Its own, because the profile and the flags differ from the host's.
fn target_dir() -> PathBuf {
    checkout::target().join("bpf")
}

/// The flags, joined as cargo wants them. What the compiler says to a person
/// keeps its paths.
fn flags() -> Result<OsString> {
    let mut flags =
        OsString::from("-Cdebuginfo=2\u{1f}-Clink-arg=--btf\u{1f}--remap-path-scope=object");
    // Of two that match the compiler takes the later one.
    let mut prefixes = vec![(checkout::root().to_owned(), "/probe")];
    prefixes.extend(
        registries()?
            .into_iter()
            .map(|registry| (registry, "/registry")),
    );
    prefixes.push((checkout::sysroot()?, "/rust"));
    for (prefix, name) in prefixes {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(prefix);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}

/// Where the sources of dependencies are: the name of the directory tells the
/// registry, which may be a mirror, so that the object must not hold it.
fn registries() -> Result<Vec<PathBuf>> {
    command::quiet(checkout::cargo().args(["fetch", "--locked"]))
        .context("fetch the dependencies")?;
    let directory = checkout::cargo_home()?.join("registry/src");
    fs::read_dir(&directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("list {}", directory.display()))
}

/// Takes the DWARF away; symbols and BTF stay. The compiler brings the tool.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let sysroot = checkout::sysroot()?;
    let objcopy = sysroot
        .join("lib/rustlib")
        .join(checkout::host()?)
        .join("bin/rust-objcopy");
    command::quiet(
        Command::new(objcopy)
            .env("LD_LIBRARY_PATH", sysroot.join("lib"))
            .arg("--strip-debug")
            .args([from, to]),
    )
}
