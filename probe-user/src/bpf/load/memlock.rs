//! Raises the limit that BPF memory counts against before Linux 5.11.

use aya::{maps::MapType, sys::is_map_supported};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

use super::LoadError;

/// The limit after the attempt to raise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Unlimited,
    /// The limit stays at this number of bytes; the kernel creates maps that fit.
    Effective(u64),
    /// The limit stays, but the kernel refuses even small maps for another reason.
    Irrelevant,
}

/// Removes the limit if this process may do so.
pub(super) fn raise() -> Limit {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let Some(bytes) = getrlimit(Resource::Memlock).current else {
        return Limit::Unlimited;
    };
    let Err(errno) = setrlimit(Resource::Memlock, unlimited) else {
        return Limit::Unlimited;
    };
    debug!(%errno, "cannot raise RLIMIT_MEMLOCK");
    // aya creates a small map of a kind that takes the same privilege as the maps of
    // probe. It does so before those exist: they would count, and the kernel releases
    // their memory late.
    match is_map_supported(MapType::LruHash) {
        Ok(true) => Limit::Effective(bytes),
        _ => Limit::Irrelevant,
    }
}

impl Limit {
    /// Adds the reason why a map was refused: if the kernel creates a small map of the
    /// same privilege, the limit is the reason, not the privilege.
    pub(super) fn explain(self, error: LoadError) -> LoadError {
        match (self, error) {
            (Self::Effective(limit), LoadError::NotPermitted { operation, source }) => {
                LoadError::Memlock {
                    operation,
                    limit,
                    source,
                }
            }
            (_, error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    fn refusal() -> LoadError {
        LoadError::NotPermitted {
            operation: "create BPF map STREAM".to_owned(),
            source: io::Error::from(ErrorKind::PermissionDenied),
        }
    }

    #[test]
    fn only_an_effective_limit_explains_a_refusal() {
        let explained = Limit::Effective(65_536).explain(refusal());
        let shown = explained.to_string();
        assert!(shown.contains("create BPF map STREAM"), "{shown}");
        assert!(shown.contains("65536 bytes"), "{shown}");
        for limit in [Limit::Unlimited, Limit::Irrelevant] {
            let unexplained = limit.explain(refusal());
            assert!(matches!(unexplained, LoadError::NotPermitted { .. }));
        }
        let other = Limit::Effective(1).explain(LoadError::NoRingBuffer);
        assert!(matches!(other, LoadError::NoRingBuffer));
    }
}
