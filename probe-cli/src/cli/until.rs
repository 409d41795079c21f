//! `--until`.

use clap::{ValueEnum, builder::PossibleValue};
use probe_user::model::Until;

/// A condition of the library as a value of the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct UntilArg(pub(super) Until);

impl ValueEnum for UntilArg {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Until::Exited),
                Self(Until::Reaped),
                Self(Until::Empty),
                Self(Until::Stopped),
                Self(Until::Removed),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Until::Exited => "the process has exited; it may be a zombie",
            Until::Reaped => "the process is reaped and its pid is free",
            Until::Empty => "no process is left in the cgroup and below it, and `rmdir` succeeds",
            Until::Stopped => "the container is empty and its runtime can delete it",
            Until::Removed => "the directory of the cgroup is gone",
        };
        Some(PossibleValue::new(self.0.as_str()).help(help))
    }
}
