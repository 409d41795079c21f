//! The decisive ring, which its reader and every wait that looks drain.

use std::{
    os::fd::{AsRawFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::maps::{MapData, RingBuf};

use super::decode::{self, DecodeError};
use crate::model::Event;

/// A handle of the ring.
#[derive(Clone)]
pub struct DecisiveRing(Arc<Mutex<RingBuf<MapData>>>);

impl DecisiveRing {
    pub(super) fn new(ring: RingBuf<MapData>) -> Self {
        Self(Arc::new(Mutex::new(ring)))
    }

    /// Passes the decoded records to `sink` until the ring is empty. Only one thread drains at
    /// a time, so no record is passed on before an earlier one.
    pub fn drain(&self, mut sink: impl FnMut(Result<Event, DecodeError>)) {
        let mut ring = self.lock();
        while let Some(record) = ring.next() {
            sink(decode::decode(&record).map(|it| it.event));
        }
    }

    fn lock(&self) -> MutexGuard<'_, RingBuf<MapData>> {
        // No panic leaves the ring inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRawFd for DecisiveRing {
    fn as_raw_fd(&self) -> RawFd {
        self.lock().as_raw_fd()
    }
}
