//! A program of a newer Debian than the machine's. It runs with the C library of its own
//! release, which is unpacked beside it.

use std::{
    env::consts,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{apt::Apt, checkout, command};

/// Releases with util-linux 2.40 or newer, the oldest first.
const SUITES: [&str; 3] = ["trixie", "forky", "sid"];

/// The packages of `waitpid` and of its C library.
const PACKAGES: [&str; 2] = ["util-linux-extra", "libc6"];

/// Command line of `waitpid` of util-linux (2.40 or newer), which is unpacked if the machine
/// has none.
pub(crate) fn waitpid() -> Result<Vec<String>> {
    if let Some(installed) = command::find("waitpid") {
        return Ok(vec![installed.display().to_string()]);
    }
    let root = checkout::tools().join("newer");
    if let Ok(words) = words(&root) {
        return Ok(words);
    }
    println!("util-linux-extra: unpacking, for waitpid");
    let mut result = Err(anyhow!("no release was asked"));
    for suite in SUITES {
        result = unpack(suite, &root).with_context(|| suite.to_owned());
        if result.is_ok() {
            break;
        }
    }
    result?;
    words(&root)
}

fn unpack(suite: &str, root: &Path) -> Result<()> {
    let apt = Apt::of(&checkout::tools().join("apt"), &[suite])?;
    checkout::empty(root)?;
    for package in PACKAGES {
        let unpacked = apt.unpack(package)?;
        let mut cp = Command::new("cp");
        cp.args(["-r", "--no-preserve=ownership", "-T"]);
        command::quiet(cp.args([&unpacked, root]))?;
    }
    apt.remove()
}

/// The loader of the newer C library, its path of libraries, and the program.
fn words(root: &Path) -> Result<Vec<String>> {
    let libraries = root.join(format!("usr/lib/{}-linux-gnu", consts::ARCH));
    let files = checkout::entries(&libraries)?;
    let is_loader = |file: &&PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-linux")
    };
    let loader = files.iter().find(is_loader).context("no loader")?;
    let program = root.join("usr/bin/waitpid");
    ensure!(program.is_file(), "no waitpid was unpacked");
    let words = [loader, Path::new("--library-path"), &libraries, &program];
    let words: Vec<_> = words.iter().map(|it| it.display().to_string()).collect();
    let mut version = Command::new(&words[0]);
    command::quiet(version.args(&words[1..]).arg("--version")).context("run waitpid")?;
    Ok(words)
}
