//! `--until`.

use clap::{ValueEnum, builder::PossibleValue};
use probe_user::model::Until;

/// A condition of the library as a word of the command line.
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
        Some(PossibleValue::new(self.0.as_str()))
    }
}
