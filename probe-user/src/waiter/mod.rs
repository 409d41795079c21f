//! Decides when a wait is over.
//!
//! Events wake, levels decide: a BPF record, a `cgroup.events` notification and
//! the timer all mean *check now*, and what is checked is the state of the
//! cgroup itself. A lost, late, duplicated or reordered event can cost time,
//! never truth. Synchronous and pure; who wakes and who reads the level is
//! `pipeline/wait.rs`.

mod backend;
mod backoff;
mod condition;
mod level;

pub use backend::Backend;
pub use backoff::{Backoff, Doubt};
pub use condition::{Answer, Facts, Until};
pub use level::{Level, Life};

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The condition became true.
    Done,
    /// It was true at the first look.
    Already,
    /// The time was up first.
    Timeout,
    /// A signal asked us to stop.
    Interrupted,
}

impl Outcome {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A wait until a cgroup is empty.
#[derive(Debug, Default)]
pub struct EmptyWait {
    looked: bool,
}

impl EmptyWait {
    /// Not looked yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { looked: false }
    }

    /// Somebody looked, and it was populated.
    #[must_use]
    pub const fn looked_before() -> Self {
        Self { looked: true }
    }

    /// Takes in what the cgroup is now.
    pub const fn check(&mut self, level: Level) -> Option<Outcome> {
        let first = !self.looked;
        self.looked = true;
        match level {
            Level::Populated => None,
            Level::Empty | Level::Removed if first => Some(Outcome::Already),
            Level::Empty | Level::Removed => Some(Outcome::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level() -> impl Strategy<Value = Level> {
        prop_oneof![
            Just(Level::Populated),
            Just(Level::Empty),
            Just(Level::Removed)
        ]
    }

    proptest! {
        #[test]
        fn no_order_of_wake_ups_gives_a_verdict_that_the_level_denies(
            levels in proptest::collection::vec(level(), 1..20),
        ) {
            let mut wait = EmptyWait::new();
            for (index, &level) in levels.iter().enumerate() {
                match wait.check(level) {
                    None => prop_assert_eq!(level, Level::Populated),
                    Some(outcome) => {
                        prop_assert_ne!(level, Level::Populated);
                        prop_assert_eq!(outcome == Outcome::Already, index == 0);
                        break;
                    }
                }
            }
        }
    }
}
