//! How many clients the limit of file descriptors allows.

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tracing::debug;

/// Descriptors that are nobody's: programs, maps, rings, the log, the runtime's,
/// and those of a scan of `/proc`.
const OWN: u64 = 256;

/// A connection is one descriptor, a watched cgroup three, shared by all who wait
/// for it. Three of five go to connections: at the limit each five clients can
/// watch more than one cgroup of their own, and 20,000 descriptors serve 11,846
/// clients with 2,632 cgroups.
const CLIENTS: u64 = 3;
const OF: u64 = 5;

/// Unless more are asked for: what one machine's tools may want at once, not what
/// one user may take of its memory.
const MOST_UNASKED: u64 = 16_384;

/// Why so many clients cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{asked} clients cannot be served with {limit} file descriptors")]
pub struct TooMany {
    /// What was asked for.
    pub asked: usize,
    /// What the kernel allows this process.
    pub limit: u64,
}

impl TooMany {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        format!(
            "raise the hard limit (ulimit -Hn, LimitNOFILE= of a unit), or ask for at most {}",
            self.limit.saturating_sub(OWN)
        )
    }
}

/// How many connections are served at once. Raises the soft limit to the hard
/// one.
pub fn max_clients(asked: Option<usize>) -> Result<usize, TooMany> {
    derive(raise(), asked)
}

fn derive(limit: u64, asked: Option<usize>) -> Result<usize, TooMany> {
    let usable = limit.saturating_sub(OWN);
    match asked {
        Some(asked) if asked as u64 > usable => Err(TooMany { asked, limit }),
        Some(asked) => Ok(asked),
        None => {
            let share = (usable.saturating_mul(CLIENTS) / OF).clamp(1, MOST_UNASKED);
            Ok(usize::try_from(share).unwrap_or(usize::MAX))
        }
    }
}

fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let result: Result<(), Errno> = setrlimit(Resource::Nofile, raised);
    let current = match result {
        Ok(()) => limit.maximum,
        Err(errno) => {
            debug!(%errno, "the limit of file descriptors stays as it is");
            limit.current
        }
    };
    current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_shared_by_connections_and_cgroups() {
        assert_eq!(derive(20_000, None).ok(), Some(11_846));
        assert_eq!(derive(1024, None).ok(), Some(460));
        assert_eq!(derive(524_288, None).ok(), Some(16_384));
        assert_eq!(derive(u64::MAX, None).ok(), Some(16_384));
        assert_eq!(derive(10, None).ok(), Some(1));
    }

    #[test]
    fn who_asks_gets_what_the_limit_has_and_no_more() {
        assert_eq!(derive(20_000, Some(19_744)).ok(), Some(19_744));
        let error = derive(20_000, Some(19_745)).expect_err("one too many");
        assert!(error.hint().contains("19744"), "{}", error.hint());
        assert_eq!(derive(u64::MAX, Some(100_000)).ok(), Some(100_000));
    }
}
