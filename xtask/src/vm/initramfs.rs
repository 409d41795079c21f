//! The file system of a guest: our programs, and those of this machine that the tests run,
//! with their libraries.

use std::{
    collections::BTreeSet,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use cpio::{NewcBuilder, write_cpio};
use fs_err as fs;
use serde_json::Value;

use super::kernel::UML_LIBRARIES;
use crate::{checkout, command, setup};

/// A target without the host's defaults, so that the programs can be linked statically.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Programs of the package `probe-tests` that tests run.
const BINS: &str = "bench_waiter deny hang_fuse init measure probe_with_switches screen_panic soak \
                    stop_at_syscall victim waits workload";

/// Programs of this machine that tests run.
const TOOLS: &str = "bash cat curl crun date dmesg env grep head ip kill ls mkdir mount nsenter \
                     prlimit ps rmdir runc setpriv setsid sh sleep strace \
                     systemd-socket-activate true umount unshare";

/// Directories of a guest: mount points, and those that files are written to.
const DIRECTORIES: &str = "dev etc proc sys tmp run root usr usr/bin usr/lib usr/lib64 usr/sbin \
                           probe probe/debug probe/debug/deps probe/release";

pub(super) struct Programs {
    integration: PathBuf,
    probe: PathBuf,
    /// The directory of all others.
    directory: PathBuf,
}

impl Programs {
    /// Builds static programs: probe as it is released, the tests half optimised, because
    /// an emulator is slow enough.
    pub(super) fn build_static() -> Result<Self> {
        println!("building the tests statically");
        let build = |words: &str| {
            let mut cargo = checkout::cargo(words);
            cargo
                .args(["--quiet", "--locked", "--target", TARGET])
                .env("CARGO_TARGET_DIR", checkout::target().join("vm/build"))
                .env("RUSTFLAGS", "-C target-feature=+crt-static")
                .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
                .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
            cargo
        };
        let mut this = Self::integration(build("test"))?;
        command::run(&mut build("build --package probe-tests --bins"))?;
        command::run(&mut build("build --package probe-cli --release"))?;
        this.probe = this.directory.with_file_name("release").join("probe");
        Ok(this)
    }

    /// Builds the programs of `cargo xtask test`, with the libraries of this machine.
    pub(super) fn build() -> Result<Self> {
        checkout::build_probe()?;
        Self::integration(checkout::cargo("test --quiet --locked"))
    }

    /// Builds the integration tests, and with them the programs that they run.
    fn integration(mut cargo: Command) -> Result<Self> {
        let words = "--no-run --package probe-tests --test integration --message-format=json";
        let messages = command::stdout(cargo.args(words.split(' ')))?;
        let executable = |line: &str| {
            let message: Value = serde_json::from_str(line).ok()?;
            let executable = message["executable"].as_str().map(PathBuf::from);
            executable.filter(|_| message["target"]["name"] == "integration")
        };
        let integration = messages.lines().find_map(executable);
        let integration = integration.context("cargo names no executable of the tests")?;
        let directory = integration.parent().and_then(Path::parent);
        Ok(Self {
            probe: checkout::probe(),
            directory: directory.context("no target directory")?.to_owned(),
            integration,
        })
    }
}

/// The archive that a kernel unpacks.
pub(super) struct Initramfs {
    pub(super) path: PathBuf,
    /// Pid 1 of a guest in which UML runs, which unpacks the archive itself.
    uml_init: PathBuf,
}

impl Initramfs {
    /// Writes the archive.
    pub(super) fn pack(programs: &Programs) -> Result<Self> {
        let mut archive = Archive::new();
        let debug = &programs.directory;
        archive.add_stripped("init", &debug.join("init"))?;
        archive.add_stripped("probe/release/probe", &programs.probe)?;
        archive.add_stripped("probe/debug/deps/integration", &programs.integration)?;
        for name in BINS.split(' ') {
            archive.add_stripped(&format!("probe/debug/{name}"), &debug.join(name))?;
        }
        for name in TOOLS.split_whitespace() {
            let Some(program) = command::find(name) else {
                println!("MISSING: {name}: the tests that run it fail in the guests");
                continue;
            };
            let (program, places) = setup::behind(&program);
            archive.program(&format!("usr/bin/{name}"), &program)?;
            archive.libraries.extend(libraries(&program, &places)?);
        }
        let path = checkout::target().join("vm/initramfs.gz");
        // A machine that starts at this moment gets the old archive or the new one.
        let cpio = path.with_extension("cpio");
        archive.write(fs::File::create(&cpio)?)?;
        command::quiet(command::new("gzip -1 --force").arg(&cpio))?;
        fs::rename(path.with_extension("cpio.gz"), &path)?;
        let uml_init = debug.join("uml");
        Ok(Self { path, uml_init })
    }

    /// Writes the archive of a guest in which UML runs: UML, the program that starts it
    /// (`tests/src/bin/uml.rs`), and this archive.
    pub(super) fn pack_uml(&self, uml: &Path) -> Result<PathBuf> {
        let mut archive = Archive::new();
        archive.program("init", &self.uml_init)?;
        archive.program("uml", uml)?;
        archive.program("initramfs.gz", &self.path)?;
        archive.libraries.extend(libraries(&self.uml_init, "")?);
        // UML's own libraries are newer and serve both programs.
        let is_own = |it: &PathBuf| UML_LIBRARIES.iter().any(|name| it.ends_with(name));
        archive.libraries.retain(|it| !is_own(it));
        let own = UML_LIBRARIES.map(|name| uml.with_file_name(name));
        archive.libraries.extend(own);
        let path = checkout::target().join("vm/uml.cpio");
        archive.write(fs::File::create(&path)?)?;
        Ok(path)
    }
}

/// An archive in the format that kernels unpack, `newc`.
struct Archive {
    entries: Vec<(NewcBuilder, Cursor<Vec<u8>>)>,
    libraries: BTreeSet<PathBuf>,
}

impl Archive {
    fn new() -> Self {
        let (entries, libraries) = (Vec::new(), BTreeSet::new());
        let mut archive = Self { entries, libraries };
        for directory in DIRECTORIES.split_whitespace() {
            archive.add(directory, 0o040_755, b"");
        }
        for directory in ["bin", "sbin", "lib", "lib64"] {
            archive.add(directory, 0o120_777, format!("usr/{directory}").as_bytes());
        }
        // Pid 1 needs the devices before it can mount anything.
        for (path, major, minor) in [("dev/console", 5, 1), ("dev/null", 1, 3)] {
            let device = NewcBuilder::new(path).mode(0o020_600);
            let device = device.rdev_major(major).rdev_minor(minor);
            archive.entries.push((device, Cursor::default()));
        }
        let users = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
        archive.add("etc/passwd", 0o100_644, users.as_bytes());
        archive.add("etc/group", 0o100_644, b"root:x:0:\nnogroup:x:65534:\n");
        archive
    }

    fn add(&mut self, path: &str, mode: u32, data: &[u8]) {
        let entry = NewcBuilder::new(path).mode(mode);
        self.entries.push((entry, Cursor::new(data.to_owned())));
    }

    fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        self.add(path, 0o100_755, &fs::read(from)?);
        Ok(())
    }

    /// Adds a program without its symbols, which are ten times as large as the code.
    fn add_stripped(&mut self, path: &str, from: &Path) -> Result<()> {
        let stripped = checkout::target().join("vm/stripped");
        command::quiet(Command::new("strip").arg("-o").args([&stripped, from]))?;
        self.libraries.extend(libraries(from, "")?);
        self.program(path, &stripped)
    }

    /// Writes all entries, and the libraries.
    fn write(mut self, out: impl Write) -> Result<()> {
        for library in std::mem::take(&mut self.libraries) {
            let name = library.file_name().unwrap_or_default().to_string_lossy();
            let end = if name.starts_with("ld-") { "64" } else { "" };
            self.program(&format!("usr/lib{end}/{name}"), &library)?;
        }
        write_cpio(self.entries.into_iter(), out).context("write the archive")?;
        Ok(())
    }
}

/// The libraries of a program and their loader. `places` are more directories.
fn libraries(program: &Path, places: &str) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    let output = ldd.arg(program).env("LD_LIBRARY_PATH", places).output();
    let output = output.context("run ldd")?.stdout;
    let lines = String::from_utf8_lossy(&output);
    let path = |line: &str| {
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        let (path, _) = path.trim().split_once(" (")?;
        path.starts_with('/').then(|| path.into())
    };
    Ok(lines.lines().filter_map(path).collect())
}
