//! Delays between the timer wake-ups of a wait.

use std::time::Duration;

/// How far a wait can rely on the wake-up sources other than the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// The ring buffer reports every change, and no record was lost.
    Full,
    /// Records were lost, or a wake-up source failed: the next look is due soon.
    Lossy,
    /// There is no ring buffer. inotify reports the removal of a cgroup, which
    /// `cgroup.events` does not, so the timer only finds notifications that are late.
    Delayed,
    /// There is no ring buffer: the timer alone finds a notification that the kernel delays
    /// or cancels.
    Low,
}

const MILLISECOND: Duration = Duration::from_millis(1);
/// First delays with a ring buffer; 20 ms is above the rate limit of `cgroup.events`.
const FULL: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];
/// Longest delay with a ring buffer. A timer that never stops bounds the effect of unknown
/// bugs.
const FULL_MAX: Duration = Duration::from_secs(5);
const DELAYED_MAX: Duration = Duration::from_secs(2);
const LOW_MAX: Duration = Duration::from_millis(50);
/// Number of looks, some five seconds, after which the delay grows to save CPU time.
const LONG_WAIT: u32 = 100;
const LONG_WAIT_MAX: Duration = Duration::from_millis(100);

/// The delays between the looks of one wait. Each delay is finite.
#[derive(Debug, Default)]
pub struct Backoff {
    looks: u32,
}

impl Backoff {
    /// The delay until the next look.
    pub(crate) fn next_delay(&mut self, reliability: Reliability) -> Duration {
        if reliability == Reliability::Lossy {
            self.looks = 0;
        }
        let looks = self.looks;
        self.looks = self.looks.saturating_add(1);
        let doubled = |from: Duration, times: u32| from.saturating_mul(1 << times.min(16));
        let max = match reliability {
            Reliability::Low if looks > LONG_WAIT => Some(LONG_WAIT_MAX),
            Reliability::Low => Some(LOW_MAX),
            Reliability::Delayed => Some(DELAYED_MAX),
            Reliability::Full | Reliability::Lossy => None,
        };
        if let Some(max) = max {
            return doubled(MILLISECOND, looks).min(max);
        }
        match FULL.get(looks as usize) {
            Some(&delay) => delay,
            None => doubled(FULL[1], looks - 1).min(FULL_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_to_a_limit_that_depends_on_the_reliability() {
        for (reliability, first, last) in [
            (Reliability::Full, [20, 250, 500, 1000, 2000, 4000], 5000),
            (Reliability::Delayed, [1, 2, 4, 8, 16, 32], 2000),
            (Reliability::Low, [1, 2, 4, 8, 16, 32], 100),
        ] {
            let mut backoff = Backoff::default();
            let mut next = || backoff.next_delay(reliability).as_millis();
            assert_eq!([(); 6].map(|()| next()), first, "{reliability:?}");
            assert_eq!(
                (6..500).map(|_| next()).max(),
                Some(last),
                "{reliability:?}"
            );
            assert_eq!(next(), last, "{reliability:?}");
        }
    }

    #[test]
    fn without_a_ring_buffer_a_short_wait_looks_every_50_milliseconds() {
        let mut backoff = Backoff::default();
        let delays = (0..LONG_WAIT).map(|_| backoff.next_delay(Reliability::Low));
        assert_eq!(delays.max(), Some(LOW_MAX));
    }

    #[test]
    fn a_loss_resets_the_delay() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next_delay(Reliability::Full);
        }
        assert_eq!(backoff.next_delay(Reliability::Lossy).as_millis(), 20);
        assert_eq!(backoff.next_delay(Reliability::Full).as_millis(), 250);
    }
}
