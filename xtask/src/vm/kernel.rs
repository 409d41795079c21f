//! A kernel on this machine: downloaded once, kept below `target/vm/kernels`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{
    row::{self, Machine, Row},
    uml,
};
use crate::{
    apt::{self, Apt, Source},
    checkout,
};

/// See the module.
pub(super) struct Kernel {
    /// What the machine boots.
    pub(super) image: PathBuf,
    /// The kernel in question, if it is a program that runs in there.
    pub(super) uml: Option<PathBuf>,
    /// Where it is from.
    pub(super) package: String,
}

/// Suites that were asked already.
#[derive(Default)]
pub(super) struct Catalogue {
    suites: BTreeMap<&'static str, Apt>,
}

impl Catalogue {
    /// The kernel of a row, from the last run or from Debian.
    pub(super) fn kernel(&mut self, row: &Row) -> Result<Kernel> {
        let directory = checkout::target().join("vm/kernels").join(row.name);
        let (image, note) = (directory.join("image"), directory.join("package"));
        let asked = format!("{} of {}\n", row.package, row.suite);
        let kept = fs::read_to_string(&note).unwrap_or_default();
        if let Some(package) = kept.strip_prefix(&asked) {
            let package = package.to_owned();
            return self.bootable(row, image, package);
        }
        let apt = self.suite(row)?;
        let package = choose(apt, row)?;
        println!("{}: downloading {package} of {}", row.name, row.suite);
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
        fs::write(&note, asked + &package).with_context(|| format!("write {}", note.display()))?;
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

    /// The archives differ in what they carry: the first that has the suite.
    fn suite(&mut self, row: &Row) -> Result<&Apt> {
        if !self.suites.contains_key(row.suite) {
            let mut result = Err(anyhow::anyhow!(
                "apt names no archive of this machine that has {}",
                row.suite
            ));
            for archive in apt::archives(row.archive)? {
                let suite = row.suite.to_owned();
                let state = checkout::target().join("vm/apt").join(row.suite);
                let apt = Apt::new(state, &[Source { archive, suite }])?;
                result = apt.update().map(|()| apt);
                if result.is_ok() {
                    break;
                }
            }
            self.suites.insert(row.suite, result?);
        }
        self.suites.get(row.suite).context("it was put there")
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copy {}", from.display()))
}

/// The package of the row, or the newest of its line.
fn choose(apt: &Apt, row: &Row) -> Result<String> {
    if !apt.madison(row.package)?.is_empty() {
        return Ok(row.package.to_owned());
    }
    let Some(line) = row.line else {
        bail!("{} has no {}", row.suite, row.package);
    };
    let names = apt.names(line)?;
    let newest = row::newest(&names, line);
    let newest = newest.with_context(|| format!("{} has no {line}*", row.suite))?;
    println!("{}: {} is gone", row.name, row.package);
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
