//! The packages that others link, with the features that others choose: the workspace
//! is linted with all features at once, which hides what is missing without one.

use anyhow::{Context, Result, ensure};

use crate::{checkout, command};

/// Package, arguments, and the most crates that it may use itself.
const SHAPES: [(&str, &[&str], usize); 3] = [
    ("probe-user", &[], 18),
    ("probe-user", &["--no-default-features"], 11),
    ("probe-daemon", &["--no-default-features"], 15),
];

pub(super) fn check() -> Result<()> {
    for (package, features, most) in SHAPES {
        let named = format!("{package} {}", features.join(" "));
        let mut clippy = checkout::cargo();
        clippy.args(["clippy", "--locked", "--package", package]);
        clippy.args(features).args(["--", "-D", "warnings"]);
        command::run(&mut clippy).with_context(|| format!("lint {named}"))?;
        let crates = crates(package, features)?;
        ensure!(
            crates <= most,
            "{named} uses {crates} crates, and {most} are the limit"
        );
    }
    Ok(())
}

/// Crates that a package names itself, as `cargo tree` counts them.
fn crates(package: &str, features: &[&str]) -> Result<usize> {
    let mut tree = checkout::cargo();
    tree.args(["tree", "--locked", "--package", package])
        .args(features);
    tree.args(["--edges", "normal", "--depth", "1", "--prefix", "none"]);
    let listed = command::stdout(&mut tree)?;
    // The first line is the package.
    Ok(listed.lines().count().saturating_sub(1))
}
