//! Pid 1 of a virtual machine in which User Mode Linux runs (`cargo xtask vm`):
//! starts it with the words of the kernel's command line that are for its own
//! pid 1, and turns the machine off when it has ended.
//!
//! What UML says as a kernel goes to the first serial line, what its pid 1 says to
//! the second one: as it is with a kernel that the machine itself boots.

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

/// Where the archive of this machine has them.
const UML: &str = "/uml";
const INITRAMFS: &str = "/initramfs.gz";

/// Of UML, which keeps it in a file of a tmpfs: half of the machine's at most.
const MEMORY: &str = "1G";

fn main() -> Result<()> {
    ensure!(
        getpid().is_init(),
        "this turns the machine off when it is done"
    );
    if let Err(error) = run() {
        let _unsaid = writeln!(io::stderr(), "error {error:#}");
    }
    // QEMU takes a restart for the end.
    reboot(RebootCommand::Restart).context("turn the machine off")
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
