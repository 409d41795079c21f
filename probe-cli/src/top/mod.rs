//! `probe top`: the exits of this machine on a live screen.
//!
//! [`Model`] is the state and knows neither clock nor terminal: events, seconds and
//! keys go in, `draw` shows it. `Source` makes the events, [`Screen`] is the terminal.

mod columns;
mod death;
mod draw;
mod key;
mod model;
mod place;
mod run;
mod screen;
mod source;
mod suspend;
mod tally;

#[cfg(test)]
mod tests;

use probe_user::model::LossReason;

use self::{death::Death, draw::draw, key::Key, model::Flow, place::Place};
pub use self::{
    model::{Model, Options, Sort},
    screen::Screen,
};
pub(crate) use self::{
    run::{TopError, run},
    source::{RecordSource, Source, SourceError},
};

/// What changes the counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A process ended.
    Death(Box<Death>),
    /// Records were lost.
    Lost {
        /// How many.
        count: u64,
        /// The reason.
        reason: LossReason,
    },
    /// Live processes.
    Live(Live),
}

/// Live processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// Processes of the machine that have not exited.
    pub(crate) processes: u64,
    /// How many of them live where. A place that is not listed has none.
    pub(crate) places: Vec<(Place, u64)>,
}
