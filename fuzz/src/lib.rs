//! Fuzz targets for the parsers of untrusted bytes, each with the invariants that hold for
//! any input.
//!
//! Each target is one function in one file; `cargo xtask fuzz` runs them. To add a target,
//! write the function, add it to [`TARGETS`] and as a `[[bin]]` to `Cargo.toml`, add a
//! file to `targets/` and a first input to `corpus/`. An ordinary test replays every file
//! of `corpus/`, so an input that found a bug belongs there.

mod api;
mod btf;
mod cgroup_files;
mod container_state;
mod wire;

use std::{env, fs};

pub use self::{
    api::api, btf::btf, cgroup_files::cgroup_files, container_state::container_state, wire::wire,
};

/// A fuzz target: panics if an invariant does not hold for the bytes.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("api", api),
    ("btf", btf),
    ("cgroup_files", cgroup_files),
    ("container_state", container_state),
    ("wire", wire),
];

/// Defines the `main` of a target: under libFuzzer, or as a replay of files.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(feature = "libfuzzer")]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$name(bytes));

        #[cfg(not(feature = "libfuzzer"))]
        fn main() {
            $crate::replay($crate::$name);
        }
    };
}

/// Runs a target once for each file that the command line names.
///
/// # Panics
///
/// If a file cannot be read, or the target panics.
pub fn replay(target: Target) {
    for path in env::args_os().skip(1) {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        target(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn no_file_of_the_corpus_makes_a_target_panic() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for (name, target) in TARGETS {
            let directory = corpus.join(name);
            let entries = fs::read_dir(&directory)
                .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
            let mut files = 0;
            for entry in entries {
                let path = entry.expect("an entry").path();
                println!("{}", path.display());
                target(&fs::read(&path).expect("a file"));
                files += 1;
            }
            assert!(files > 0, "{name} has no corpus");
        }
    }
}
