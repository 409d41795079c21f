//! `probe top`: shows the exits of this machine on a live screen.
//!
//! [`Model`] is the state, which uses neither clock nor terminal: events, seconds and keys
//! change it, and `draw` draws it. `Source` reads the events, [`Screen`] is the terminal.

pub(crate) mod batch;
mod columns;
mod draw;
mod exit_row;
mod keys;
mod model;
mod order;
mod place;
mod process_row;
mod run;
mod screen;
mod source;
mod suspend;
mod tally;

#[cfg(test)]
mod tests;

use probe_user::model::LossReason;

use self::{draw::draw, exit_row::ExitRow, keys::Flow, place::Place, process_row::ProcessRow};
pub use self::{
    model::{Model, Options},
    order::Sort,
    screen::Screen,
};
pub(crate) use self::{
    run::{TopError, run},
    source::{RecordSource, Source, SourceError},
};

/// A change of the counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A process exited.
    Exit(Box<ExitRow>),
    /// Records were lost.
    Lost {
        /// Number of records; `None` if it is unknown.
        count: Option<u64>,
        reason: LossReason,
    },
    /// Live processes were counted.
    Live(Live),
}

/// Counts of live processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// Number of processes on the machine that have not exited.
    pub(crate) processes: u64,
    /// The processes in each place. A place that is not listed has none.
    pub(crate) places: Vec<(Place, Vec<ProcessRow>)>,
}
