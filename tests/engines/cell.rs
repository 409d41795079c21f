//! One cell of the matrix: an engine with one kind of pid namespace and one view of cgroups.

use std::{fs, path::Path};

use probe_tests::{
    engine::{Engine, Pids, Place, Results, View, rounds},
    requirements,
};

use crate::table::{self, Row};

/// Rounds without `PROBE_ENGINES_ROUNDS`.
const ROUNDS: usize = 4;

pub(crate) struct Cell {
    engine: &'static str,
    pids: Pids,
    view: View,
}

/// A running engine, and its version.
pub(crate) type Started<E> = Result<(E, String), String>;

impl Cell {
    pub(crate) fn new(engine: &'static str, pids: Pids, view: View) -> Self {
        Self { engine, pids, view }
    }

    /// Starts the engine, runs the rounds and records their results. If the engine does not
    /// start, the cell is not applicable.
    pub(crate) fn check<E: Engine>(&self, start: impl FnOnce(&Place, Pids) -> Started<E>) {
        let is_v2 = Path::new("/sys/fs/cgroup/cgroup.procs").exists();
        if is_v2 && self.view == View::Machine {
            return self.leave_out("-", "this machine has v2 alone, see there");
        }
        let started = Place::private(self.view).and_then(|place| start(&place, self.pids));
        let (engine, version) = match started {
            Ok(started) => started,
            Err(why) => return self.leave_out("-", &why),
        };
        let begun = std::time::Instant::now();
        match rounds(&engine, number()) {
            Ok(results) => {
                println!("{} rounds in {:?}", number(), begun.elapsed());
                table::record(&self.row(&version, &text(&results)));
                let faults = &results.faults;
                assert!(faults.is_empty(), "{}", faults.join("\n"));
            }
            Err(why) => self.leave_out(&version, &why),
        }
    }

    fn leave_out(&self, version: &str, why: &str) {
        let why = why
            .trim()
            .lines()
            .last()
            .unwrap_or_default()
            .replace('|', "/");
        table::record(&self.row(
            version,
            &[&format!("NOT APPLICABLE: {why}"), "", "", "", "", "", ""],
        ));
        requirements::inapplicable(&format!("{}: {why}", self.engine));
    }

    fn row(&self, version: &str, results: &[impl AsRef<str>]) -> Row {
        let pids = match self.pids {
            Pids::Own => "own",
            Pids::Host => "host",
        };
        let view = match self.view {
            View::Machine => "hybrid",
            View::V2 => "v2",
        };
        let key = [self.engine, pids, view].map(str::to_owned);
        let results = results.iter().map(|it| it.as_ref().to_owned());
        Row {
            key,
            rest: [version.to_owned()].into_iter().chain(results).collect(),
        }
    }
}

/// The checks that passed, how often the engine refused the removal at first, and for how long.
fn text(results: &Results) -> Vec<String> {
    let passed = results.passed.iter().map(|(passed, made)| {
        if *made == 0 {
            "–".to_owned()
        } else if passed == made {
            made.to_string()
        } else {
            format!("**{passed} of {made}**")
        }
    });
    let late = match results.late {
        0 => "0".to_owned(),
        late => format!("{late}, at most {} ms", results.latest.as_millis()),
    };
    passed.chain([late]).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes options to tests only in the environment"
)]
fn number() -> usize {
    let number = std::env::var("PROBE_ENGINES_ROUNDS").ok();
    number.map_or(ROUNDS, |it| it.parse().expect("a number of rounds"))
}

/// The version in the output of a program.
pub(crate) fn version(output: &str) -> String {
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|it: char| it.is_ascii_digit());
    let mut words = output.split([' ', '\n', ',', '~', '+', '(']);
    let found = words.find(is_version).unwrap_or("unknown");
    found.to_owned()
}

/// Whether a file of the unpacked packages exists.
pub(crate) fn require(place: &Place, program: &str) -> Result<(), String> {
    let file = place.root().join(program.trim_start_matches('/'));
    let is_there = fs::symlink_metadata(file).is_ok();
    is_there
        .then_some(())
        .ok_or_else(|| format!("no {program}: `cargo xtask engines` unpacks it"))
}
