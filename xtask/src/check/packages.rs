//! The packages as other projects use them: with fewer features, and from their archives
//! for crates.io.

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use crate::{checkout, command};

/// Packages with sets of features, and the largest number of direct dependencies of each.
/// The workspace is linted with all features, which hides errors that appear only when a
/// feature is off.
const SHAPES: [(&str, usize); 3] = [
    ("--package probe-user", 18),
    ("--package probe-user --no-default-features", 11),
    ("--package probe-daemon --no-default-features", 15),
];

pub(super) fn features() -> Result<()> {
    for (shape, most) in SHAPES {
        let clippy = format!("clippy --locked {shape} -- -D warnings");
        command::run(&mut checkout::cargo(&clippy))?;
        let tree = format!("tree --locked {shape} --edges normal --depth 1 --prefix none");
        let listed = command::stdout(&mut checkout::cargo(&tree))?;
        // The first line is the package itself.
        let crates = listed.lines().count().saturating_sub(1);
        ensure!(
            crates <= most,
            "{shape}: {crates} direct dependencies, but at most {most} are allowed"
        );
    }
    Ok(())
}

/// The line of the root manifest that keeps the packages from being published.
const PRIVATE: &str = "\npublish = false\n";

/// Runs `cargo publish --dry-run`, which compiles each package from its own archive, in a
/// copy of the checkout that may be published.
pub(super) fn publish() -> Result<()> {
    let copy = checkout::target().join("publish");
    checkout::empty(&copy)?;
    for file in checkout::files()? {
        let to = copy.join(&file);
        fs::create_dir_all(to.parent().unwrap_or(&copy))?;
        // This follows symbolic links, as `cargo package` does.
        fs::copy(checkout::root().join(&file), to)?;
    }
    let manifest = copy.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    let is_private = text.contains(PRIVATE);
    ensure!(is_private, "no `{}` in Cargo.toml", PRIVATE.trim());
    fs::write(&manifest, text.replace(PRIVATE, "\npublish = true\n"))?;
    // cargo does not unpack an archive with the version of an earlier run again.
    let remove = "rm -rf \"${CARGO_HOME:-$HOME/.cargo}\"/registry/src/-*/probe-*";
    command::run(command::new("sh -c").arg(remove))?;
    // cargo calls the copy dirty, because it is not under version control.
    let mut publish = command::new("cargo publish --dry-run --workspace --locked --allow-dirty");
    // cargo would also use what it compiled of that version, so nothing is shared.
    publish.current_dir(&copy).env_remove("CARGO_TARGET_DIR");
    command::run(&mut publish).context("package for crates.io")
}
