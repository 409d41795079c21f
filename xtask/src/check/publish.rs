//! The packages for crates.io: `cargo publish --dry-run`, which compiles each from its
//! own archive, in a copy of the checkout that may be published.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{checkout, command};

/// The line of the root manifest that keeps the packages from being published.
const PRIVATE: &str = "\npublish = false\n";

/// Fails if a package cannot be published, or does not compile from its archive.
pub(super) fn check() -> Result<()> {
    let copy = checkout::target().join("publish");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("remove {}", copy.display()))?;
    }
    for file in checkout::files()? {
        copy_file(&checkout::root().join(&file), &copy.join(&file))?;
    }
    allow(&copy.join("Cargo.toml")).context("let the copy be published")?;
    // The copy is not under version control, so cargo would call it dirty.
    command::run(
        Command::new("cargo")
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", checkout::target())
            .args(["publish", "--dry-run", "--workspace"])
            .args(["--locked", "--allow-dirty"]),
    )
    .context("package for crates.io")
}

/// Follows symbolic links, as `cargo package` does.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn allow(manifest: &Path) -> Result<()> {
    let text = fs::read_to_string(manifest)?;
    ensure!(text.contains(PRIVATE), "no `{}` in it", PRIVATE.trim());
    fs::write(manifest, text.replace(PRIVATE, "\npublish = true\n"))?;
    Ok(())
}
