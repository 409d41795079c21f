//! Series that name containers. Their number is bounded, because every series takes memory
//! of Prometheus.
//!
//! The containers with the latest exits are kept, because Prometheus may not have scraped
//! these exits yet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use probe_user::model::Container;
use prometheus_client::metrics::{counter::Counter, family::Family};

use super::labels::KINDS;

/// Maximum number of containers that have series.
pub(super) const MAX_CONTAINERS: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Containers {
    pub(super) exits: Family<Labels, Counter>,
    latest: Mutex<Latest>,
}

/// The latest exit of each container, as the number of all exits up to then.
#[derive(Debug, Default)]
struct Latest {
    exits: u64,
    of: HashMap<Identity, u64>,
}

/// Runtime, id and name of a container.
type Identity = (&'static str, String, String);

type Labels = [(&'static str, String); 4];

impl Containers {
    pub(super) fn exit(&self, container: &Container, kind: &str) {
        let name = container.name.clone().unwrap_or_default();
        let identity = (container.runtime.as_str(), container.id.clone(), name);
        let series = labels(&identity, kind);
        let forgotten = self
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .touch(identity);
        if let Some(forgotten) = forgotten {
            for kind in KINDS {
                self.exits.remove(&labels(&forgotten, kind));
            }
        }
        self.exits.get_or_create(&series).inc();
    }
}

impl Latest {
    /// Records an exit of a container; returns the container that was removed to make room.
    fn touch(&mut self, identity: Identity) -> Option<Identity> {
        self.exits += 1;
        let forgotten = (self.of.len() == MAX_CONTAINERS && !self.of.contains_key(&identity))
            .then(|| self.of.iter().min_by_key(|(_, exits)| **exits))
            .flatten()
            .map(|(identity, _)| identity.clone());
        if let Some(forgotten) = &forgotten {
            self.of.remove(forgotten);
        }
        self.of.insert(identity, self.exits);
        forgotten
    }
}

fn labels((runtime, id, name): &Identity, kind: &str) -> Labels {
    [
        ("runtime", (*runtime).to_owned()),
        ("id", id.clone()),
        ("name", name.clone()),
        ("kind", kind.to_owned()),
    ]
}
