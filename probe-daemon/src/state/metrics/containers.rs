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

use super::labels::{Kind, OfContainer};

/// Maximum number of containers that have series.
pub(super) const MAX_CONTAINERS: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Containers {
    pub(super) exits: Family<OfContainer, Counter>,
    latest: Mutex<Latest>,
}

/// The latest exit of each container, as the number of all exits up to then.
#[derive(Debug, Default)]
struct Latest {
    exits: u64,
    of: HashMap<Identity, u64>,
}

type Identity = (&'static str, String, String);

impl Containers {
    pub(super) fn exit(&self, container: &Container, kind: Kind) {
        let labels = OfContainer::new(container, kind);
        let forgotten = self
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .touch(identity(&labels));
        if let Some((runtime, id, name)) = forgotten {
            let mut labels = OfContainer {
                runtime,
                id,
                name,
                kind,
            };
            for kind in Kind::ALL {
                labels.kind = kind;
                self.exits.remove(&labels);
            }
        }
        self.exits.get_or_create(&labels).inc();
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

fn identity(labels: &OfContainer) -> Identity {
    (labels.runtime, labels.id.clone(), labels.name.clone())
}
