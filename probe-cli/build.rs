//! Finds out from which commit `probe` is built, for `probe version`.
//!
//! A packager that builds from an archive sets `PROBE_COMMIT` and `PROBE_COMMIT_DATE`. Otherwise a
//! release build asks git; other builds do not, because each commit would compile them again.

use std::{env, process::Command};

fn main() {
    for name in ["PROBE_COMMIT", "PROBE_COMMIT_DATE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let is_release = variable("PROFILE").is_some_and(|profile| profile == "release");
    let (commit, date) = match variable("PROBE_COMMIT") {
        Some(commit) => (commit, variable("PROBE_COMMIT_DATE").unwrap_or_default()),
        None if is_release => from_git().unwrap_or_default(),
        None => Default::default(),
    };
    println!("cargo:rustc-env=PROBE_BUILT_FROM={commit}");
    println!("cargo:rustc-env=PROBE_BUILT_DATE={date}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script has no command line"
)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// The commit and its date. `None` without git, and for an archive that is unpacked inside of
/// another repository.
fn from_git() -> Option<(String, String)> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    let commit = git(&["rev-parse", "HEAD"])?;
    let date = git(&["log", "-1", "--format=%cs"])?;
    Some((commit, date))
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
