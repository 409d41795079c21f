//! Delays between the timer wake-ups of a wait.

use std::time::Duration;

/// How far a wait can rely on the wake-up sources other than the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// The ring buffer reports every change, and no record was lost.
    Full,
    /// Records were lost, or a wake-up source failed: the next look is due soon.
    Lossy,
    /// There is no ring buffer, but `cgroup.events` notifies, and inotify reports the removal of
    /// the cgroup if a wait asks for that. The kernel delays a notification that follows another
    /// one closely, and a removal cancels it: the timer finds that.
    Notified,
    /// The timer alone finds a change.
    Low,
}

const MILLISECOND: Duration = Duration::from_millis(1);
/// First delays with a ring buffer; 20 ms is above the rate limit of `cgroup.events`.
const FULL: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];
/// Longest delay with a ring buffer. A timer that never stops bounds the effect of unknown
/// bugs.
const FULL_MAX: Duration = Duration::from_secs(5);
const NOTIFIED_MAX: Duration = Duration::from_secs(2);
/// The delay of a look for a late notification. tokio rounds it up to its next tick, so that a look
/// comes every millisecond; a delay of a millisecond would be two.
const LATE_LOOK: Duration = Duration::from_micros(500);
/// Looks, a millisecond apart, after the start of a wait and after each notification: the
/// kernel delays a notification that follows another one within 10 ms and a clock tick, which is
/// up to 10 ms too.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L4589>
const LATE_LOOKS: u32 = 25;
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
        match reliability {
            Reliability::Low if looks > LONG_WAIT => LONG_WAIT_MAX,
            Reliability::Low => doubled(MILLISECOND, looks).min(LOW_MAX),
            Reliability::Notified if looks < LATE_LOOKS => LATE_LOOK,
            Reliability::Notified => doubled(MILLISECOND, looks - LATE_LOOKS).min(NOTIFIED_MAX),
            Reliability::Full | Reliability::Lossy => match FULL.get(looks as usize) {
                Some(&delay) => delay,
                None => doubled(FULL[1], looks - 1).min(FULL_MAX),
            },
        }
    }

    /// Begins anew, because the kernel has just notified.
    pub(crate) const fn notified(&mut self) {
        self.looks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_to_a_limit_that_depends_on_the_reliability() {
        for (reliability, first, last) in [
            (Reliability::Full, [20, 250, 500, 1000, 2000, 4000], 5000),
            (Reliability::Notified, [0; 6], 2000),
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
    fn after_a_notification_the_looks_are_close_until_no_other_one_can_be_late() {
        let mut backoff = Backoff::default();
        for _ in 0..500 {
            backoff.next_delay(Reliability::Notified);
        }
        backoff.notified();
        let delays = (0..LATE_LOOKS).map(|_| backoff.next_delay(Reliability::Notified));
        assert_eq!(delays.max(), Some(LATE_LOOK));
        let delays = [(); 3].map(|()| backoff.next_delay(Reliability::Notified));
        assert_eq!(delays.map(|it| it.as_millis()), [1, 2, 4]);
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
