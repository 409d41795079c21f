//! `cargo xtask bpf`: builds the BPF objects that are committed.
//!
//! The bytes depend only on the sources and on the versions of compiler and linker: paths
//! are remapped, and no flag differs from machine to machine.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{checkout, command, setup};

/// The targets of both byte orders.
pub(crate) const TARGETS: [&str; 2] = ["bpfel-unknown-none", "bpfeb-unknown-none"];

/// Build the BPF objects that are committed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail if a committed object is not what its source gives
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    for (path, built, is_old) in build()? {
        let state = if is_old { "unchanged" } else { "new" };
        fs::write(&path, &built)?;
        println!("{}: {} bytes, {state}", path.display(), built.len());
    }
    Ok(())
}

/// Fails if a committed object is not what its source gives.
pub(crate) fn check() -> Result<()> {
    let objects = build()?.into_iter();
    let stale = objects.filter(|(_, _, is_old)| !is_old);
    let stale: Vec<_> = stale.map(|(path, ..)| path.display().to_string()).collect();
    let (stale, wanted) = (stale.join(" and "), setup::RUSTC);
    let rustc = command::stdout(&mut command::new("rustc --version"))?;
    ensure!(
        stale.is_empty(),
        "{stale} not what probe-ebpf gives with {rustc}\
         hint: run `cargo xtask bpf` with rustc {wanted} and commit"
    );
    println!("the committed BPF objects are what probe-ebpf gives");
    Ok(())
}

/// The path of each committed object, its bytes, and whether the file has these.
fn build() -> Result<Vec<(PathBuf, Vec<u8>, bool)>> {
    setup::bpf_linker()?;
    let mut objects = Vec::new();
    for target in TARGETS {
        command::run(toolchain("build", target)?.args(["--bin", "probe-bpf"]))
            .context("build the BPF programs")?;
        let built = target_dir().join(target).join("bpf/probe-bpf");
        let stripped = built.with_extension("stripped");
        strip(&built, &stripped).context("strip the debug information")?;
        let order = target.split('-').next().unwrap_or(target);
        let path = checkout::root().join(format!("probe-user/bpf/probe.{order}.o"));
        let built = fs::read(&stripped)?;
        let is_old = fs::read(&path).is_ok_and(|old| old == built);
        objects.push((path, built, is_old));
    }
    Ok(objects)
}

/// `cargo VERB` for the BPF programs, with the toolchain that compiles them.
pub(crate) fn toolchain(verb: &str, target: &str) -> Result<Command> {
    let package = "--locked --package probe-ebpf --features bpf";
    let mut cargo = checkout::cargo(&format!("{verb} {package} --target {target} --profile bpf"));
    // A path in the flags would be part of the symbols' hashes.
    let linker = checkout::target_variable(target, "LINKER");
    cargo
        .env("CARGO_TARGET_DIR", target_dir())
        .env(linker, checkout::tool("bpf-linker"))
        // Aya's bindings differ between building machines only in register structs, which
        // the BPF programs do not use.
        .env("AYA_BPF_TARGET_ARCH", "x86_64")
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    setup::build_std(&mut cargo, "core")?;
    Ok(cargo)
}

/// A target directory of its own, because profile and flags differ from the host's.
fn target_dir() -> PathBuf {
    checkout::target().join("bpf")
}

/// The flags, separated as cargo expects them. Diagnostics keep their paths.
fn flags() -> Result<OsString> {
    let mut flags =
        OsString::from("-Cdebuginfo=2\u{1f}-Clink-arg=--btf\u{1f}--remap-path-scope=object");
    // If two prefixes match, the compiler uses the later one.
    let mut prefixes = vec![(checkout::root().to_owned(), "/probe")];
    prefixes.extend(registries()?.into_iter().map(|it| (it, "/registry")));
    prefixes.push((checkout::sysroot()?, "/rust"));
    for (prefix, name) in prefixes {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(prefix);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}

/// The directories of the dependencies' sources. Their names contain the registry, which
/// may be a mirror, so that the object must not contain them.
fn registries() -> Result<Vec<PathBuf>> {
    command::quiet(&mut checkout::cargo("fetch --locked")).context("fetch the dependencies")?;
    checkout::entries(&checkout::cargo_home()?.join("registry/src"))
}

/// Removes the DWARF with the compiler's own tool; symbols and BTF stay.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let sysroot = checkout::sysroot()?;
    let tools = sysroot.join("lib/rustlib").join(checkout::host()?);
    let mut objcopy = Command::new(tools.join("bin/rust-objcopy"));
    objcopy.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    command::quiet(objcopy.arg("--strip-debug").args([from, to]))
}
