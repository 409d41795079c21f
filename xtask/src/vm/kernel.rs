//! The kernels that tests run on: a table of them, and each as a file below
//! `target/vm/kernels`, downloaded once.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{apt::Apt, checkout};

/// From the oldest to the newest: name, suite of Debian, prefix of the package's name and
/// the version that it was last run with, words for the command line, and purpose.
const TABLE: &str = "\
5.10          | bullseye-security | linux-image-5.10.0- 46 | | memlock, no cgroup.kill
5.10-lockdown | bullseye-security | linux-image-5.10.0- 46 | lockdown=confidentiality | \
    kernel memory cannot be read
6.1           | bookworm-security | linux-image-6.1.0- 56 | | no EPOLLHUP of a pidfd
6.12          | trixie            | linux-image-6.12. 117+deb13 | | \
    pidfs, the exit tracepoint after exit_mm
6.12-hybrid   | trixie            | linux-image-6.12. 117+deb13 | \
    probe.v1=name=systemd,pids,memory,freezer,cpu,cpuset,devices | \
    v1 controllers beside v2, as systemd mounts them
6.18          | trixie-backports  | linux-image-6.18. 15+deb13 | | \
    the exit tracepoint before exit_mm
6.19.6        | trixie-backports  | linux-binary-6.19.6+deb13 | | rmdir is EBUSY after waitpid
7.0           | trixie-backports  | linux-binary-7.0. 13+deb13 | | \
    preemptible tracepoints, rmdir may block
7.1           | trixie-backports  | linux-binary-7.1. 13+deb13 | | rmdir comes before populated 0
7.3           | trixie-backports  | linux-binary-7. 3.4+deb13 | | the newest
7.3-lockdown  | trixie-backports  | linux-binary-7. 3.4+deb13 | lockdown=confidentiality | \
    kernel memory cannot be read
UML           | trixie            | user-mode-linux | | no tracing at all";

const CLOUD: &str = "-cloud-amd64";

/// A kernel, and how it is booted.
#[derive(Clone, Copy, Default)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// Empty for a file of the user.
    suite: &'a str,
    /// The beginning of the name of its packages, or the path of the file.
    prefix: &'a str,
    version: &'a str,
    /// More words of the kernel's command line, for the kernel or for pid 1.
    pub(super) words: &'a str,
    pub(super) purpose: &'a str,
}

pub(super) fn rows() -> Vec<Row<'static>> {
    let row = |line: &'static str| {
        let mut cells = line.split('|').map(str::trim);
        let mut cell = || cells.next().unwrap_or_default();
        let (name, suite, package) = (cell(), cell(), cell());
        let (prefix, version) = package.split_once(' ').unwrap_or((package, ""));
        let (words, purpose) = (cell(), cell());
        Row {
            name,
            suite,
            prefix,
            version,
            words,
            purpose,
        }
    };
    TABLE.lines().map(row).collect()
}

impl<'a> Row<'a> {
    /// A row that is not in the table, with the name of its file: `vmlinuz-6.6` is 6.6.
    pub(super) fn of(image: &'a Path) -> Result<Self> {
        let name = image.file_name().and_then(|name| name.to_str());
        let names = name.zip(image.to_str());
        let (name, path) = names.context("a kernel without a name")?;
        Ok(Self {
            name: name.strip_prefix("vmlinuz-").unwrap_or(name),
            prefix: path,
            purpose: "given as a file",
            ..Self::default()
        })
    }

    /// Whether the row exists for its v1 hierarchies.
    pub(super) fn has_v1(&self) -> bool {
        self.words.starts_with("probe.v1=")
    }

    /// Whether the kernel is User Mode Linux, a program.
    pub(super) fn is_uml(&self) -> bool {
        self.name == "UML"
    }

    /// The package that it was last run with, or the path of the file.
    pub(super) fn package(&self) -> String {
        let is_plain = self.suite.is_empty() || self.is_uml();
        let end = if is_plain { "" } else { CLOUD };
        [self.prefix, self.version, end].concat()
    }
}

pub(super) struct Kernel {
    /// The image that the virtual machine boots.
    pub(super) image: PathBuf,
    /// The program that is the kernel under test, if it is User Mode Linux.
    pub(super) uml: Option<PathBuf>,
    pub(super) package: String,
}

/// The row with the kernel on which User Mode Linux runs; `cargo xtask test` needs it too.
const UML_HOST: &str = "7.3";

/// The libraries that UML loads, from the release that it is from: those of this machine
/// may be older.
pub(super) const UML_LIBRARIES: [&str; 2] = ["libc.so.6", "ld-linux-x86-64.so.2"];

impl Kernel {
    /// The kernel of a row: the file, or the package, which may be there already.
    pub(super) fn of(row: &Row) -> Result<Self> {
        let mut image = PathBuf::from(row.prefix);
        let (mut uml, mut package) = (None, row.package());
        if row.suite.is_empty() {
            check_image(&image)?;
        } else {
            let directory = checkout::target().join("vm/kernels").join(row.name);
            image = directory.join("image");
            let note = directory.join("package");
            let head = format!("{package} of {}\n", row.suite);
            let kept = fs::read_to_string(&note).unwrap_or_default();
            package = match kept.strip_prefix(&head) {
                Some(package) => package.to_owned(),
                None => download(row, &directory)?,
            };
            // The note comes last, so that an interrupted download does not look finished.
            fs::write(&note, head + &package)?;
        }
        if row.is_uml() {
            let host = rows().into_iter().find(|row| row.name == UML_HOST);
            let host = Self::of(&host.context("UML has a host")?)?;
            uml = Some(std::mem::replace(&mut image, host.image));
        }
        Ok(Self {
            image,
            uml,
            package,
        })
    }
}

/// Downloads the kernel of a row into a directory; returns the package.
fn download(row: &Row, directory: &Path) -> Result<String> {
    let apt = Apt::of(&checkout::target().join("vm/apt"), &[row.suite])?;
    let package = choose(&apt, &row.package(), row.prefix)?;
    println!("{}: downloading {package} of {}", row.name, row.suite);
    fs::create_dir_all(directory)?;
    let unpacked = apt.unpack(&package)?;
    if row.is_uml() {
        fs::copy(unpacked.join("usr/bin/linux.uml"), directory.join("image"))?;
        let libraries = apt.unpack("libc6")?.join("usr/lib/x86_64-linux-gnu");
        for name in UML_LIBRARIES {
            fs::copy(libraries.join(name), directory.join(name))?;
        }
    } else {
        fs::copy(find_image(&unpacked)?, directory.join("image"))?;
    }
    apt.remove()?;
    Ok(package)
}

/// Fails for a file that x86 does not boot: the emulator would wait for ever.
fn check_image(path: &Path) -> Result<()> {
    // The signature by which boot loaders recognise a kernel:
    // <https://github.com/torvalds/linux/blob/v6.12/Documentation/arch/x86/boot.rst>
    let (mut start, signature) = ([0; 0x206], b"HdrS");
    let mut file = fs::File::open(path)?;
    ensure!(
        file.read_exact(&mut start).is_ok() && start.ends_with(signature),
        "{} is not a kernel that x86 can boot\nhint: give /boot/vmlinuz-* or \
         arch/x86/boot/bzImage, not vmlinux",
        path.display()
    );
    Ok(())
}

/// The package, or the newest with the prefix.
fn choose(apt: &Apt, asked: &str, prefix: &str) -> Result<String> {
    if !apt.madison(asked)?.is_empty() {
        return Ok(asked.to_owned());
    }
    println!("{asked} is gone");
    let names = apt.names(prefix)?;
    let newest = newest(&names).with_context(|| format!("no package {prefix}*"))?;
    Ok(newest.to_owned())
}

/// The package with the newest version. Versions are compared as numbers, not as letters.
fn newest(names: &[String]) -> Option<&String> {
    let numbers = |name: &&String| {
        let numbers = name.split(|it: char| !it.is_ascii_digit());
        numbers
            .filter_map(|it| it.parse().ok())
            .collect::<Vec<u64>>()
    };
    names
        .iter()
        .filter(|it| it.ends_with(CLOUD))
        .max_by_key(numbers)
}

/// The image in a package. From 6.19 on it is beside the modules.
fn find_image(unpacked: &Path) -> Result<PathBuf> {
    let modules = checkout::entries(&unpacked.join("usr/lib/modules"));
    let modules = modules.into_iter().flatten().map(|it| it.join("vmlinuz"));
    let boot = checkout::entries(&unpacked.join("boot"));
    let mut images = boot.into_iter().flatten().chain(modules);
    let is_image = |it: &PathBuf| {
        let name = it.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("vmlinuz") && it.is_file()
    };
    images
        .find(is_image)
        .with_context(|| format!("no kernel in {}", unpacked.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_row_with_a_name_of_its_own() {
        let rows = rows();
        assert_eq!(rows.len(), 12);
        for (index, row) in rows.iter().enumerate() {
            assert!(rows[index + 1..].iter().all(|it| it.name != row.name));
            assert!(!row.purpose.is_empty(), "{}", row.name);
        }
        assert_eq!(rows[0].package(), "linux-image-5.10.0-46-cloud-amd64");
        assert!(rows[4].has_v1() && rows[11].is_uml());
        assert_eq!(rows[11].package(), "user-mode-linux");
    }

    #[test]
    fn the_newest_package_has_the_highest_numbers() {
        let names = ["7.3.10", "7.3.9", "6.99.1"];
        let names = names.map(|it| format!("linux-binary-{it}+deb13-cloud-amd64"));
        assert_eq!(newest(&names), Some(&names[0]));
        let other = "linux-binary-7.4+deb13-rt-amd64".to_owned();
        assert_eq!(newest(&[other]), None);
    }

    #[test]
    fn a_kernel_in_a_file_is_named_after_the_file() {
        let name = |path| Row::of(Path::new(path)).ok().map(|row| row.name.to_owned());
        assert_eq!(name("/boot/vmlinuz-6.6.30").as_deref(), Some("6.6.30"));
        assert_eq!(name("bzImage").as_deref(), Some("bzImage"));
        assert_eq!(name("/boot/.."), None);
    }

    #[test]
    fn a_file_that_x86_does_not_boot_is_refused() {
        let this = std::env::current_exe().expect("the program of this test");
        for path in [this.as_path(), Path::new("/dev/null")] {
            let error = check_image(path).expect_err("no kernel").to_string();
            assert!(
                error.contains("is not a kernel that x86 can boot"),
                "{error}"
            );
        }
    }
}
