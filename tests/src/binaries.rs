//! Paths of the programs under test, derived from the path of the test executable, so that a
//! copy of `target/` works in a virtual machine too.

use std::path::PathBuf;

/// The `probe` that `cargo xtask test` built: the release build, because users run that.
#[must_use]
pub fn probe() -> PathBuf {
    let path = profile_dir()
        .parent()
        .expect("a profile directory is inside target/")
        .join("release/probe");
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask test`",
        path.display()
    );
    path
}

/// Options that the release build does not have, because they only serve tests.
const SWITCHES: [&str; 3] = ["--break-bpf", "--deaf", "--freeze-after"];

/// The `probe` for these arguments: the release build, unless one of them is an option for
/// tests.
#[must_use]
pub fn probe_for(args: &[&str]) -> PathBuf {
    if args.iter().any(|arg| SWITCHES.contains(arg)) {
        program("probe_with_switches")
    } else {
        probe()
    }
}

/// A program of this package, such as `victim`: cargo builds them together with
/// the tests, for the same profile.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = profile_dir().join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask test`",
        path.display()
    );
    path
}

fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("an executable is in a directory");
    deps.parent()
        .expect("test executables are in target/PROFILE/deps")
        .to_path_buf()
}
