//! `probe top`: what ends on this machine, as a screen that moves.
//!
//! [`Model`] is the state and knows neither clock nor terminal: events, seconds
//! and keys go in, [`draw()`] shows it. Where the events come from is [`Source`],
//! what the terminal is told is [`Screen`].

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

/// What the screen is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A process ended.
    Death(Box<Death>),
    /// Records never came.
    Lost {
        /// How many.
        count: u64,
        /// Why.
        reason: LossReason,
    },
    /// Who lives.
    Live(Live),
}

/// Who lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// Processes of the machine that have not exited.
    pub(crate) processes: u64,
    /// How many of them are where; who is not listed has none.
    pub(crate) places: Vec<(Place, u64)>,
}
