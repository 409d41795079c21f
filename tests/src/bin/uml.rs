//! Pid 1 of a virtual machine that runs User Mode Linux (`cargo xtask vm`): starts UML with the
//! `probe.` parameters of the kernel's command line, and powers the machine off when UML ends.
//!
//! The kernel messages of UML go to the first serial line and the output of its pid 1 to the
//! second, as with a kernel that the machine boots itself.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use probe_tests::mounts;
use rustix::{
    process::getpid,
    system::{RebootCommand, reboot},
};

/// Paths in the initramfs of this machine.
const UML: &str = "/uml";
const INITRAMFS: &str = "/initramfs.gz";

/// Memory of UML, a file in a tmpfs: at most half of the machine's memory.
const MEMORY: &str = "1G";

fn main() -> Result<()> {
    ensure!(getpid().is_init(), "this program powers the machine off");
    if let Err(error) = run() {
        let _written = writeln!(io::stderr(), "error {error:#}");
    }
    // QEMU ends at a restart.
    reboot(RebootCommand::Restart).context("power the machine off")
}

fn run() -> Result<()> {
    for (kind, point) in [
        ("proc", "/proc"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/dev/shm"),
    ] {
        mounts::mount_at(kind, point, None)?;
    }
    let words = fs::read_to_string("/proc/cmdline").context("read the command line")?;
    let words = words
        .split_whitespace()
        .filter(|word| word.starts_with("probe."));
    let status = Command::new(UML)
        .arg(format!("mem={MEMORY}"))
        .arg(format!("initrd={INITRAMFS}"))
        .args(["console=tty0", "con=null", "con0=fd:0,fd:2"])
        .args(["ssl=null", "ssl1=null,fd:1"])
        .args(words)
        .stdin(serial("/dev/ttyS0")?)
        .stdout(serial("/dev/ttyS1")?)
        .stderr(serial("/dev/ttyS0")?)
        .status();
    let status = status.context("run UML")?;
    ensure!(status.success(), "UML ended with {status}");
    Ok(())
}

fn serial(line: &str) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).open(line);
    opened.with_context(|| format!("open {line}"))
}
