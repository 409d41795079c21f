//! The first file system of a guest, which is all that it has: our programs,
//! and those of this machine that the tests run, with their libraries.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{
    build::{BINS, Programs},
    cpio::Cpio,
};
use crate::{checkout, command, setup};

/// What the tests run beside our own.
const TOOLS: [&str; 28] = [
    "bash",
    "cat",
    "date",
    "dmesg",
    "env",
    "grep",
    "head",
    "systemd-socket-activate",
    "ip",
    "kill",
    "ls",
    "mkdir",
    "mount",
    "nsenter",
    "prlimit",
    "ps",
    "rmdir",
    "setpriv",
    "setsid",
    "sh",
    "sleep",
    "strace",
    "true",
    "umount",
    "unshare",
    "curl",
    "runc",
    "crun",
];

/// Directories that something is mounted on, or written to.
const DIRECTORIES: [&str; 16] = [
    "dev",
    "etc",
    "proc",
    "sys",
    "tmp",
    "run",
    "root",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/sbin",
    "probe",
    "probe/debug",
    "probe/debug/deps",
    "probe/release",
];

/// See the module.
pub(super) struct Initramfs {
    pub(super) path: PathBuf,
    /// Pid 1 of a guest in which UML runs, of which the archive is.
    pub(super) uml_init: PathBuf,
}

/// Writes it.
pub(super) fn pack(programs: &Programs) -> Result<Initramfs> {
    let path = checkout::target().join("vm/initramfs.gz");
    // A machine that starts at this moment has the old one or the new one.
    let partial = path.with_extension("partial");
    let file = File::create(&partial).with_context(|| format!("create {}", partial.display()))?;
    let mut gzip = Command::new("gzip")
        .arg("-1")
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .context("run gzip")?;
    let pipe = gzip.stdin.take().context("a pipe to gzip")?;
    let mut cpio = Cpio::new(pipe);
    skeleton(&mut cpio)?;
    let mut libraries = ours(&mut cpio, programs)?;
    libraries.extend(tools(&mut cpio)?);
    add_libraries(&mut cpio, &libraries)?;
    drop(cpio.finish().context("write the archive")?);
    let status = gzip.wait().context("wait for gzip")?;
    if !status.success() {
        bail!("gzip ended with {status}");
    }
    fs::rename(&partial, &path).with_context(|| format!("rename to {}", path.display()))?;
    let uml_init = programs.directory.join("uml");
    Ok(Initramfs { path, uml_init })
}

pub(super) fn skeleton(cpio: &mut Cpio<impl Write>) -> Result<()> {
    for directory in DIRECTORIES {
        cpio.directory(directory)?;
    }
    for directory in ["bin", "sbin", "lib", "lib64"] {
        cpio.link(directory, &format!("usr/{directory}"))?;
    }
    // Pid 1 must have them before it can mount anything.
    cpio.device("dev/console", [5, 1])?;
    cpio.device("dev/null", [1, 3])?;
    let users = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
    cpio.file("etc/passwd", 0o644, users.as_bytes())?;
    cpio.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
    Ok(())
}

/// Stripped: symbols are ten times as large as the code. Says what they load.
fn ours(cpio: &mut Cpio<impl Write>, programs: &Programs) -> Result<BTreeSet<PathBuf>> {
    let stripped = checkout::target().join("vm/stripped");
    let mut libraries = BTreeSet::new();
    let mut add = |path: &str, from: &Path| -> Result<()> {
        command::quiet(Command::new("strip").arg("-o").args([&stripped, from]))?;
        libraries.extend(loaded(from)?);
        Ok(cpio.program(path, &stripped)?)
    };
    add("init", &programs.directory.join("init"))?;
    add("probe/release/probe", &programs.probe)?;
    add("probe/debug/deps/integration", &programs.integration)?;
    for name in BINS {
        let program = programs.directory.join(name);
        add(&format!("probe/debug/{name}"), &program)?;
    }
    fs::remove_file(&stripped).context("remove a copy")?;
    Ok(libraries)
}

/// Says what they load.
fn tools(cpio: &mut Cpio<impl Write>) -> Result<BTreeSet<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for name in TOOLS {
        let Some(program) = command::find(name) else {
            println!("MISSING: {name}: the tests that run it fail in the guests");
            continue;
        };
        let (program, places) = setup::behind(&program)?;
        cpio.program(&format!("usr/bin/{name}"), &program)?;
        libraries.extend(loaded_from(&places, &program)?);
    }
    Ok(libraries)
}

pub(super) fn add_libraries(
    cpio: &mut Cpio<impl Write>,
    libraries: &BTreeSet<PathBuf>,
) -> Result<()> {
    for library in libraries {
        let name = library.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("name of {}", library.display()))?;
        let directory = if name.starts_with("ld-") {
            "lib64"
        } else {
            "lib"
        };
        cpio.program(&format!("usr/{directory}/{name}"), library)?;
    }
    Ok(())
}

/// The libraries of a program, and what loads them.
pub(super) fn loaded(program: &Path) -> Result<Vec<PathBuf>> {
    loaded_from("", program)
}

/// The same with more places where libraries are.
fn loaded_from(places: &str, program: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    let output = ldd.arg(program).env("LD_LIBRARY_PATH", places).output();
    let output = output.context("run ldd")?.stdout;
    let lines = String::from_utf8_lossy(&output);
    let paths = lines.lines().filter_map(|line| {
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        let (path, _) = path.trim().split_once(" (")?;
        path.starts_with('/').then(|| path.into())
    });
    Ok(paths.collect())
}
