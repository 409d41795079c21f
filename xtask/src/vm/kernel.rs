//! A kernel on this machine: downloaded once, kept below `target/vm/kernels`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    row::{self, Machine, Origin, Package, Row},
    uml,
};
use crate::{apt::Apt, checkout};

/// See the module.
pub(super) struct Kernel {
    /// What the machine boots.
    pub(super) image: PathBuf,
    /// The kernel in question, if it is a program that runs in there.
    pub(super) uml: Option<PathBuf>,
    /// Where it is from.
    pub(super) package: String,
}

impl Kernel {
    /// A file of somebody's. The emulator would take any, and wait for ever.
    fn of(path: &Path) -> Result<Self> {
        let mut start = [0; SIGNATURE_AT + SIGNATURE.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
        read.with_context(|| format!("read {}", path.display()))?;
        ensure!(
            start.ends_with(SIGNATURE),
            "{} is no kernel that x86 boots\nhint: it is /boot/vmlinuz-*, or arch/x86/boot/bzImage \
             where one was built, and not vmlinux",
            path.display()
        );
        Ok(Self {
            image: path.to_owned(),
            uml: None,
            package: path.display().to_string(),
        })
    }
}

/// What the kernel has for boot loaders to know it by, and where.
///
/// <https://github.com/torvalds/linux/blob/v6.12/Documentation/arch/x86/boot.rst>
const SIGNATURE: &[u8] = b"HdrS";
const SIGNATURE_AT: usize = 0x202;

/// Suites that were asked already.
#[derive(Default)]
pub(super) struct Catalogue {
    suites: BTreeMap<&'static str, Apt>,
}

impl Catalogue {
    /// The kernel of a row: a file of somebody's, or from the last run or Debian.
    pub(super) fn kernel(&mut self, row: &Row) -> Result<Kernel> {
        match &row.origin {
            Origin::Image(path) => Kernel::of(path),
            Origin::Package(package) => self.packaged(row, package),
        }
    }

    fn packaged(&mut self, row: &Row, asked: &Package) -> Result<Kernel> {
        let directory = checkout::target().join("vm/kernels").join(row.name);
        let (image, note) = (directory.join("image"), directory.join("package"));
        let line = format!("{} of {}\n", asked.name, asked.suite);
        let kept = fs::read_to_string(&note).unwrap_or_default();
        if let Some(package) = kept.strip_prefix(&line) {
            let package = package.to_owned();
            return self.bootable(row, image, package);
        }
        let apt = self.suite(asked)?;
        let package = choose(apt, asked)?;
        println!("{}: downloading {package} of {}", row.name, asked.suite);
        let unpacked = apt.unpack(&package)?;
        let found = find_image(&unpacked, row.machine)?;
        fs::create_dir_all(&directory)
            .with_context(|| format!("create {}", directory.display()))?;
        copy(&found, &image)?;
        if row.machine == Machine::Uml {
            // This machine's may be older than what it was linked with.
            let unpacked = apt.unpack("libc6")?;
            for name in uml::LIBRARIES {
                let library = unpacked.join("usr/lib/x86_64-linux-gnu").join(name);
                copy(&library, &directory.join(name))?;
            }
        }
        fs::remove_dir_all(&unpacked).with_context(|| format!("remove {}", unpacked.display()))?;
        // Last: an interrupted download must not look finished.
        fs::write(&note, line + &package).with_context(|| format!("write {}", note.display()))?;
        self.bootable(row, image, package)
    }

    /// A program has a kernel of another row below it.
    fn bootable(&mut self, row: &Row, image: PathBuf, package: String) -> Result<Kernel> {
        if row.machine == Machine::Qemu {
            return Ok(Kernel {
                image,
                uml: None,
                package,
            });
        }
        let host = row::ROWS.iter().find(|row| row.name == uml::HOST);
        let host = self.kernel(host.context("UML has a host")?)?;
        Ok(Kernel {
            image: host.image,
            uml: Some(image),
            package,
        })
    }

    fn suite(&mut self, package: &Package) -> Result<&Apt> {
        if !self.suites.contains_key(package.suite) {
            let state = checkout::target().join("vm/apt").join(package.suite);
            let apt = Apt::of(&state, package.archive, &[package.suite])?;
            self.suites.insert(package.suite, apt);
        }
        self.suites.get(package.suite).context("it was put there")
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copy {}", from.display()))
}

/// The package, or the newest of its line.
fn choose(apt: &Apt, asked: &Package) -> Result<String> {
    if !apt.madison(asked.name)?.is_empty() {
        return Ok(asked.name.to_owned());
    }
    let Some(line) = asked.line else {
        bail!("{} has no {}", asked.suite, asked.name);
    };
    let names = apt.names(line)?;
    let newest = row::newest(&names, line);
    let newest = newest.with_context(|| format!("{} has no {line}*", asked.suite))?;
    println!("{} is gone from {}", asked.name, asked.suite);
    Ok(newest.to_owned())
}

/// Since 6.19 it is with its modules.
fn find_image(unpacked: &Path, machine: Machine) -> Result<PathBuf> {
    if machine == Machine::Uml {
        return Ok(unpacked.join("usr/bin/linux.uml"));
    }
    for (directory, name) in [("boot", "vmlinuz-"), ("usr/lib/modules", "")] {
        for entry in fs::read_dir(unpacked.join(directory)).into_iter().flatten() {
            let path = entry?.path();
            let is_it = path
                .file_name()
                .is_some_and(|it| it.to_string_lossy().starts_with(name));
            let path = if name.is_empty() {
                path.join("vmlinuz")
            } else {
                path
            };
            if is_it && path.is_file() {
                return Ok(path);
            }
        }
    }
    bail!("no kernel in {}", unpacked.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_x86_does_not_boot_is_refused_before_it_is_tried() {
        let refused = |path: &str| {
            let refused = Kernel::of(Path::new(path))
                .err()
                .map(|it| format!("{it:#}"));
            refused.unwrap_or_default()
        };
        let this = std::env::current_exe().expect("the test's own program");
        assert!(refused(&this.to_string_lossy()).contains("is no kernel that x86 boots"));
        assert!(refused("/dev/null").starts_with("read /dev/null"));
        assert!(refused("/nowhere").starts_with("read /nowhere: No such file"));
    }
}
