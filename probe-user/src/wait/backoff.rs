//! When the timer of a wait looks next.

use std::time::Duration;

/// Whether the wakers beside the timer can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The ring buffer tells, nothing was lost.
    None,
    /// Records were lost, or a waker died: look soon again.
    Some,
    /// There is no ring buffer, but something tells of what `cgroup.events` never
    /// tells: the timer finds what is told late.
    Late,
    /// There is no ring buffer: the timer alone finds a notification that the
    /// kernel delays or cancels.
    Always,
}

const MILLISECOND: Duration = Duration::from_millis(1);
/// With a ring buffer: the first looks cover the rate limit of
/// `cgroup.events`, the long ones what nobody has thought of.
const CONFIDENT: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];
const CONFIDENT_MOST: Duration = Duration::from_secs(5);
const LATE_MOST: Duration = Duration::from_secs(2);
const DOUBTFUL_MOST: Duration = Duration::from_millis(50);
/// After some five seconds, for the sake of the CPU.
const PATIENT: u32 = 100;
const PATIENT_MOST: Duration = Duration::from_millis(100);

/// The delays between the looks of one wait: never endless.
#[derive(Debug, Default)]
pub struct Backoff {
    looks: u32,
}

impl Backoff {
    /// The first look is due soon.
    #[must_use]
    pub const fn new() -> Self {
        Self { looks: 0 }
    }

    /// The delay until the next look.
    pub(crate) fn next_delay(&mut self, doubt: Doubt) -> Duration {
        if doubt == Doubt::Some {
            self.looks = 0;
        }
        let looks = self.looks;
        self.looks = self.looks.saturating_add(1);
        let doubled = |from: Duration, times: u32| from.saturating_mul(1 << times.min(16));
        let most = match doubt {
            Doubt::Always if looks > PATIENT => Some(PATIENT_MOST),
            Doubt::Always => Some(DOUBTFUL_MOST),
            Doubt::Late => Some(LATE_MOST),
            Doubt::None | Doubt::Some => None,
        };
        if let Some(most) = most {
            return doubled(MILLISECOND, looks).min(most);
        }
        match CONFIDENT.get(looks as usize) {
            Some(&delay) => delay,
            None => doubled(CONFIDENT[1], looks - 1).min(CONFIDENT_MOST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(doubt: Doubt, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::new();
        (0..count)
            .map(|_| backoff.next_delay(doubt).as_millis())
            .collect()
    }

    #[test]
    fn with_a_ring_buffer_looks_become_rare() {
        assert_eq!(
            delays(Doubt::None, 8),
            [20, 250, 500, 1000, 2000, 4000, 5000, 5000]
        );
    }

    #[test]
    fn without_one_they_stay_frequent() {
        assert_eq!(delays(Doubt::Always, 8), [1, 2, 4, 8, 16, 32, 50, 50]);
        assert_eq!(delays(Doubt::Always, 500)[499], 100);
    }

    #[test]
    fn what_is_told_late_is_looked_for_early() {
        let delays = delays(Doubt::Late, 12);
        assert_eq!(delays[..6], [1, 2, 4, 8, 16, 32]);
        assert_eq!(delays[11], 2000);
    }

    #[test]
    fn a_doubt_starts_anew() {
        let mut backoff = Backoff::new();
        for _ in 0..5 {
            backoff.next_delay(Doubt::None);
        }
        assert_eq!(backoff.next_delay(Doubt::Some).as_millis(), 20);
        assert_eq!(backoff.next_delay(Doubt::None).as_millis(), 250);
    }

    #[test]
    fn no_wait_is_left_without_a_timer() {
        let mut backoff = Backoff::new();
        for _ in 0..1000 {
            assert!(backoff.next_delay(Doubt::None) <= CONFIDENT_MOST);
        }
    }
}
