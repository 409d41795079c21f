//! Counts of exits: of the machine by second, and of each place.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use probe_user::model::{LossCount, LossReason};

use super::{Event, ExitRow, Live, Place, ProcessRow};

/// Maximum number of seconds in the graph.
const SECONDS: usize = 1024;
/// Maximum number of exits that are kept.
const EXITS: usize = 1024;
/// Maximum number of places that are counted, which limits memory.
const PLACES: usize = 4096;
/// Number of seconds over which the exits of a place are averaged.
const RECENT: usize = 5;
/// Number of seconds for which a place is shown without live processes and exits.
const REMEMBERED: u32 = 30;

/// All counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Exits in each of the last full seconds, the latest last.
    pub(super) seconds: VecDeque<u64>,
    current: u64,
    /// Number of exits that were not written yet in batch mode.
    pub(super) new_exits: usize,
    /// The latest exits, the newest first.
    pub(super) exits: VecDeque<Arc<ExitRow>>,
    pub(super) places: HashMap<Place, PlaceCounts>,
    /// Number of live processes; `None` before the first count.
    pub(super) processes: Option<u64>,
    pub(super) lost: LossCount,
    pub(super) loss: Option<LossReason>,
}

/// The counts of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaceCounts {
    pub(super) processes: Arc<[ProcessRow]>,
    pub(super) exits: u64,
    pub(super) failures: u64,
    recent: VecDeque<u32>,
    current: u32,
    quiet: u32,
}

impl Tally {
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Exit(exit) => self.count_exit(*exit),
            Event::Lost { count, reason } => {
                self.lost.add(count);
                self.loss = Some(reason);
            }
            Event::Live(live) => self.live(live),
        }
    }

    fn count_exit(&mut self, exit: ExitRow) {
        self.current += 1;
        self.new_exits += 1;
        if self.places.len() < PLACES || self.places.contains_key(&exit.place) {
            let place = self.places.entry(exit.place.clone()).or_default();
            place.exits += 1;
            place.failures += u64::from(exit.is_failure);
            place.current = place.current.saturating_add(1);
        }
        self.exits.truncate(EXITS - 1);
        self.exits.push_front(Arc::new(exit));
    }

    fn live(&mut self, live: Live) {
        self.processes = Some(live.processes);
        for place in self.places.values_mut() {
            place.processes = Arc::default();
        }
        for (place, processes) in live.places {
            if self.places.len() < PLACES || self.places.contains_key(&place) {
                self.places.entry(place).or_default().processes = processes.into();
            }
        }
    }

    /// Starts the next second.
    pub(super) fn tick(&mut self) {
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(std::mem::take(&mut self.current));
        self.places.retain(|_, place| {
            place.tick();
            place.live() > 0 || place.quiet < REMEMBERED
        });
    }

    /// Exits in the last full second.
    pub(super) fn per_second(&self) -> u64 {
        self.seconds.back().copied().unwrap_or(0)
    }

    /// Number of containers with a live process.
    pub(super) fn containers(&self) -> usize {
        let places = self.places.iter();
        places
            .filter(|(place, of)| place.is_container && of.live() > 0)
            .count()
    }
}

impl PlaceCounts {
    /// Number of live processes.
    pub(super) fn live(&self) -> u64 {
        self.processes.len() as u64
    }

    fn tick(&mut self) {
        self.quiet = if self.current == 0 { self.quiet + 1 } else { 0 };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(std::mem::take(&mut self.current));
    }

    /// Tenths of exits per second, averaged over the last seconds.
    pub(super) fn tenths_per_second(&self) -> u64 {
        let exits: u64 = self.recent.iter().copied().map(u64::from).sum();
        exits * 10 / (self.recent.len().max(1) as u64)
    }
}
