//! Fuzz targets: what reads bytes that somebody else wrote, and what must hold
//! whatever they are.
//!
//! One function and one file a target; `cargo xtask fuzz` runs them. To add one,
//! write the function, name it in [`TARGETS`] and as a `[[bin]]` of
//! `Cargo.toml`, give it a file in `targets/` and a first input in `corpus/`.
//! Every file of `corpus/` is replayed by an ordinary test, so an input that
//! once found a mistake goes there.

mod api;
mod btf;
mod cgroup_files;
mod container_state;
mod wire;

use std::{env, fs};

pub use self::{
    api::api, btf::btf, cgroup_files::cgroup_files, container_state::container_state, wire::wire,
};

/// What panics at bytes of which something does not hold.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("api", api),
    ("btf", btf),
    ("cgroup_files", cgroup_files),
    ("container_state", container_state),
    ("wire", wire),
];

/// The program of a target: under libFuzzer, or a replay of files.
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

/// Runs a target once for each file of the command line.
///
/// # Panics
///
/// If a file cannot be read, or the target finds something.
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
    fn nothing_in_the_corpus_finds_anything() {
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
