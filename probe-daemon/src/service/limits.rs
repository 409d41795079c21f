//! The number of clients that the limit of file descriptors allows.

use probe_user::unstable::limits::raise_descriptors;

/// Descriptors that are reserved for the daemon: programs, maps, rings, the log, the async
/// runtime, and a scan of `/proc`.
const RESERVED: u64 = 256;

/// Share of the descriptors for connections: three of five. A connection takes one
/// descriptor. A watched cgroup takes three, which all its waits share. 20,000 descriptors
/// are enough for 11,846 clients that watch 2,632 cgroups.
const CLIENT_SHARE: u64 = 3;
const SHARES: u64 = 5;

/// Maximum unless the configuration sets one: enough for the tools of one machine, and
/// a bound for the memory that one user can take.
const MAX_DEFAULT: u64 = 16_384;

/// The limit of file descriptors is too low for the configured number of clients.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve {asked} clients with {limit} file descriptors")]
pub struct TooManyClients {
    /// The configured number of clients.
    pub asked: usize,
    /// The hard limit of file descriptors.
    pub limit: u64,
}

impl TooManyClients {
    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> String {
        format!(
            "raise the hard limit (ulimit -Hn, LimitNOFILE= of a unit), or allow at most {}",
            self.limit.saturating_sub(RESERVED)
        )
    }
}

/// Maximum number of connections at once. Raises the soft limit of file descriptors to the
/// hard limit.
pub(crate) fn max_clients(asked: Option<usize>) -> Result<usize, TooManyClients> {
    derive(raise_descriptors(), asked)
}

fn derive(limit: u64, asked: Option<usize>) -> Result<usize, TooManyClients> {
    let usable = limit.saturating_sub(RESERVED);
    match asked {
        Some(asked) if asked as u64 > usable => Err(TooManyClients { asked, limit }),
        Some(asked) => Ok(asked),
        None => {
            let share = (usable.saturating_mul(CLIENT_SHARE) / SHARES).clamp(1, MAX_DEFAULT);
            Ok(usize::try_from(share).unwrap_or(usize::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_cgroups_share_the_limit_of_descriptors() {
        assert_eq!(derive(20_000, None).ok(), Some(11_846));
        assert_eq!(derive(1024, None).ok(), Some(460));
        assert_eq!(derive(524_288, None).ok(), Some(16_384));
        assert_eq!(derive(u64::MAX, None).ok(), Some(16_384));
        assert_eq!(derive(10, None).ok(), Some(1));
    }

    #[test]
    fn a_configured_number_of_clients_must_be_within_the_limit() {
        assert_eq!(derive(20_000, Some(19_744)).ok(), Some(19_744));
        let error = derive(20_000, Some(19_745)).expect_err("one too many");
        assert!(error.hint().contains("19744"), "{}", error.hint());
        assert_eq!(derive(u64::MAX, Some(100_000)).ok(), Some(100_000));
    }
}
