//! The first line of `probe wait` and `probe kill`.

use serde::Serialize;

use super::SCHEMA;

/// The wait is armed: from here on no change of its targets is missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArmedLine {
    /// Version of all line types.
    schema: u32,
    /// `armed`.
    r#type: &'static str,
    /// Number of living processes in the targets, as far as they are listed.
    live: u64,
    /// Whether the exits of these processes are reported from here on. If not, BPF or a daemon may
    /// still join.
    reports_exits: bool,
}

impl ArmedLine {
    /// The line for a number of living processes.
    #[must_use]
    pub const fn new(live: u64, reports_exits: bool) -> Self {
        Self {
            schema: SCHEMA,
            r#type: "armed",
            live,
            reports_exits,
        }
    }
}
