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

pub use self::{
    death::Death,
    draw::draw,
    key::Key,
    model::{Flow, Model, Options, Sort},
    place::Place,
    run::{TopError, run},
    screen::Screen,
    source::{Source, SourceError, Teller},
};

/// What the screen is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
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
pub struct Live {
    /// Processes of the machine that have not exited.
    pub processes: u64,
    /// How many of them are where; who is not listed has none.
    pub places: Vec<(Place, u64)>,
}
