//! The limit that BPF memory counts against before Linux 5.11.

use aya::{maps::MapType, sys::is_map_supported};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

use super::LoadError;

/// What is left of the limit, once as much as may be was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    None,
    /// It stays at so many bytes, and the kernel makes maps that fit.
    Holds(u64),
    /// It stays, but is not what keeps us from making maps.
    Idle,
}

/// Lifts it, where that is allowed.
pub(super) fn raise() -> Limit {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let Some(bytes) = getrlimit(Resource::Memlock).current else {
        return Limit::None;
    };
    let Err(errno) = setrlimit(Resource::Memlock, unlimited) else {
        return Limit::None;
    };
    debug!(%errno, "RLIMIT_MEMLOCK stays as it is");
    // Asked before ours are made: those would count, and are given back late. Of
    // a kind that takes the privilege that ours take.
    match is_map_supported(MapType::LruHash) {
        Ok(true) => Limit::Holds(bytes),
        _ => Limit::Idle,
    }
}

impl Limit {
    /// Why a map was refused: not for lack of privilege where a small one of the
    /// same privilege was not.
    pub(super) fn explain(self, error: LoadError) -> LoadError {
        match (self, error) {
            (Self::Holds(limit), LoadError::NotPermitted { operation, source }) => {
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
    fn only_a_limit_that_small_maps_fit_into_explains_a_refusal() {
        let explained = Limit::Holds(65_536).explain(refusal());
        let shown = explained.to_string();
        assert!(shown.contains("create BPF map STREAM"), "{shown}");
        assert!(shown.contains("65536 bytes"), "{shown}");
        for limit in [Limit::None, Limit::Idle] {
            let unexplained = limit.explain(refusal());
            assert!(matches!(unexplained, LoadError::NotPermitted { .. }));
        }
        let other = Limit::Holds(1).explain(LoadError::NoRingBuffer);
        assert!(matches!(other, LoadError::NoRingBuffer));
    }
}
