//! Random trees of processes, of which nothing is left.

use std::process::Command;

use probe_tests::{conditions, probe_in, random, scale};

use super::{Delegated, assert_no_trace_of, descendants_of};

/// How a tree is run: the words before `probe`, and whether a cgroup is to be used.
enum Place {
    Root,
    Delegated(Delegated),
    WithoutRights,
}

impl Place {
    fn command(&self, args: &[&str]) -> Command {
        match self {
            Self::Root => conditions::unrestricted(args),
            Self::Delegated(it) => it.probe(args),
            Self::WithoutRights => conditions::without_privilege(args),
        }
    }
}

#[test]
#[ignore = "needs root"]
fn nothing_is_left_of_random_trees_and_their_exit_code_is_passed_on() {
    let mut rng = random::seeded();
    let tree = conditions::program("tree");
    let tree = tree.to_str().expect("UTF-8");
    let places = [
        Place::Root,
        Place::Delegated(Delegated::make("trees")),
        Place::WithoutRights,
    ];
    for round in 0..scale::few_or(50, 1000) {
        let seed = rng.u64(..).to_string();
        let (how, number) = if rng.bool() {
            ("exit", rng.i32(0..120))
        } else {
            let signals = [1, 2, 3, 6, 9, 10, 11, 15];
            ("signal", signals[rng.usize(..signals.len())])
        };
        let number_word = number.to_string();
        let place = &places[round % places.len()];
        let mut args = vec!["run", "-q"];
        if rng.u32(0..4) == 0 {
            args.extend(["--grace", "2ms"]);
        }
        args.extend(["--", tree, &seed, how, &number_word]);
        let mut probe = place.command(&args);
        let output = probe_in(&mut probe);
        let code = if how == "exit" { number } else { 128 + number };
        let run = format!("round {round}: {probe:?}");
        assert_eq!(output.code, Some(code), "{run}: {output:#?}");
        assert_eq!(descendants_of(&seed), [0; 0], "{run}");
        assert_no_trace_of(&run);
    }
}
