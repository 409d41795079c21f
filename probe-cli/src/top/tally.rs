//! Counts: of the machine by second, and of each place.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use probe_user::model::LossReason;

use super::{Death, Event, Live, Place};

/// Seconds that the graph may show.
const SECONDS: usize = 1024;
/// Deaths that are kept.
const DEATHS: usize = 1024;
/// Places that are counted separately: a storm of cgroups must not grow memory.
const PLACES: usize = 4096;
/// Seconds over which the exits of a place are averaged.
const RECENT: usize = 5;
/// Seconds for which a place without live processes is shown.
const REMEMBERED: u32 = 30;

/// All counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Exits in each of the last seconds, the latest last, without the current.
    pub(super) seconds: VecDeque<u64>,
    current: u64,
    /// The latest first.
    pub(super) deaths: VecDeque<Arc<Death>>,
    pub(super) places: HashMap<Place, OfPlace>,
    /// `None` until the processes were counted once.
    pub(super) processes: Option<u64>,
    pub(super) lost: u64,
    pub(super) loss: Option<LossReason>,
}

/// The counts of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct OfPlace {
    pub(super) live: u64,
    pub(super) exits: u64,
    pub(super) failures: u64,
    recent: VecDeque<u32>,
    current: u32,
    quiet: u32,
}

impl Tally {
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Death(death) => self.death(*death),
            Event::Lost { count, reason } => {
                self.lost += count;
                self.loss = Some(reason);
            }
            Event::Live(live) => self.live(live),
        }
    }

    fn death(&mut self, death: Death) {
        self.current += 1;
        if self.places.len() < PLACES || self.places.contains_key(&death.place) {
            let place = self.places.entry(death.place.clone()).or_default();
            place.exits += 1;
            place.failures += u64::from(death.is_failure);
            place.current = place.current.saturating_add(1);
        }
        self.deaths.truncate(DEATHS - 1);
        self.deaths.push_front(Arc::new(death));
    }

    fn live(&mut self, live: Live) {
        self.processes = Some(live.processes);
        for place in self.places.values_mut() {
            place.live = 0;
        }
        for (place, processes) in live.places {
            if self.places.len() < PLACES || self.places.contains_key(&place) {
                self.places.entry(place).or_default().live = processes;
            }
        }
    }

    /// Begins the next second.
    pub(super) fn tick(&mut self) {
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(std::mem::take(&mut self.current));
        self.places.retain(|_, place| {
            place.tick();
            place.live > 0 || place.quiet < REMEMBERED
        });
    }

    /// Exits in the last whole second.
    pub(super) fn per_second(&self) -> u64 {
        self.seconds.back().copied().unwrap_or(0)
    }

    /// Containers with a live process.
    pub(super) fn containers(&self) -> usize {
        let places = self.places.iter();
        places
            .filter(|(place, of)| place.is_container && of.live > 0)
            .count()
    }
}

impl OfPlace {
    fn tick(&mut self) {
        self.quiet = if self.current == 0 { self.quiet + 1 } else { 0 };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(std::mem::take(&mut self.current));
    }

    /// Tenths of exits a second, over the last seconds.
    pub(super) fn tenths_per_second(&self) -> u64 {
        let exits: u64 = self.recent.iter().copied().map(u64::from).sum();
        exits * 10 / (self.recent.len().max(1) as u64)
    }
}
