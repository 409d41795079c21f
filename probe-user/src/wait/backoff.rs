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
    /// A backoff that starts with the shortest delay.
    #[must_use]
    pub const fn new() -> Self {
        Self { looks: 0 }
    }

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

    fn delays(reliability: Reliability, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::new();
        (0..count)
            .map(|_| backoff.next_delay(reliability).as_millis())
            .collect()
    }

    #[test]
    fn with_a_ring_buffer_the_delay_grows_to_five_seconds() {
        assert_eq!(
            delays(Reliability::Full, 8),
            [20, 250, 500, 1000, 2000, 4000, 5000, 5000]
        );
    }

    #[test]
    fn without_a_ring_buffer_the_delay_stays_short() {
        assert_eq!(delays(Reliability::Low, 8), [1, 2, 4, 8, 16, 32, 50, 50]);
        assert_eq!(delays(Reliability::Low, 500)[499], 100);
    }

    #[test]
    fn with_delayed_notifications_the_delay_starts_short_and_grows() {
        let delays = delays(Reliability::Delayed, 12);
        assert_eq!(delays[..6], [1, 2, 4, 8, 16, 32]);
        assert_eq!(delays[11], 2000);
    }

    #[test]
    fn a_loss_resets_the_delay() {
        let mut backoff = Backoff::new();
        for _ in 0..5 {
            backoff.next_delay(Reliability::Full);
        }
        assert_eq!(backoff.next_delay(Reliability::Lossy).as_millis(), 20);
        assert_eq!(backoff.next_delay(Reliability::Full).as_millis(), 250);
    }

    #[test]
    fn no_delay_is_longer_than_the_maximum() {
        let mut backoff = Backoff::new();
        for _ in 0..1000 {
            assert!(backoff.next_delay(Reliability::Full) <= FULL_MAX);
        }
    }
}
