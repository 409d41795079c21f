//! Tests the conditions and the timer of a wait against a model of the kernel, with events
//! that arrive in any order, twice, late or never.

mod kernel;

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};

use self::kernel::{Change, Kernel};
use super::{
    backoff::{Backoff, Reliability},
    condition::{Answer, Facts},
};
use crate::model::{CgroupState, ProcessState, Until};

/// A step of a test.
#[derive(Clone, Debug)]
enum Step {
    Kernel(Change),
    /// A pending event arrives. All events are alike, because the wait only looks. `true`: the
    /// event arrives once more later.
    Arrive(bool),
    /// A pending event is lost.
    Lose,
    /// A wake-up without an event.
    Spurious,
    Reliability(Reliability),
    /// Milliseconds pass.
    Pass(u64),
}

/// A model of [`crate::wait::Wait`] without files.
struct Wait {
    until: Until,
    now: Duration,
    looked_at: Duration,
    next_look: Duration,
    backoff: Backoff,
    reliability: Reliability,
    /// Number of events that have neither arrived nor been lost.
    pending: usize,
    verdict: Option<Answer>,
}

impl Wait {
    fn arm(until: Until, kernel: &Kernel) -> Self {
        let mut wait = Self {
            until,
            now: Duration::ZERO,
            looked_at: Duration::ZERO,
            next_look: Duration::ZERO,
            backoff: Backoff::default(),
            reliability: Reliability::Low,
            pending: 0,
            verdict: None,
        };
        wait.look(kernel);
        wait
    }

    fn look(&mut self, kernel: &Kernel) {
        let gap = self.now.saturating_sub(self.looked_at);
        assert!(gap <= MAX_GAP, "no look for {gap:?}");
        self.looked_at = self.now;
        let delay = self.backoff.next_delay(self.reliability);
        assert!(!delay.is_zero(), "a timer without a delay");
        self.next_look = self.now + delay;
        let mut answer = kernel.facts(false).satisfy(self.until);
        if answer == (Answer::Yes { exact: false }) {
            answer = kernel.facts(true).satisfy(self.until);
        }
        if let Answer::Yes { exact } = answer {
            assert!(
                kernel.satisfies(self.until, exact),
                "wrong verdict {:?}: {kernel:?}",
                self.until
            );
            self.verdict = Some(answer);
        } else {
            assert!(
                !kernel.satisfies(self.until, true),
                "missing verdict {:?}: {kernel:?}",
                self.until
            );
        }
    }

    fn apply(&mut self, step: &Step, kernel: &mut Kernel) {
        match step {
            Step::Kernel(change) => self.pending += usize::from(kernel.apply(change)),
            Step::Arrive(_) | Step::Lose if self.pending == 0 => {}
            Step::Arrive(again) => {
                self.pending -= usize::from(!again);
                self.look(kernel);
            }
            Step::Lose => self.pending -= 1,
            Step::Spurious => self.look(kernel),
            Step::Reliability(reliability) => {
                self.reliability = *reliability;
                self.backoff = Backoff::default();
                self.look(kernel);
            }
            Step::Pass(milliseconds) => {
                self.pass(Duration::from_millis(*milliseconds), kernel);
            }
        }
    }

    /// Lets time pass; the wait looks whenever its timer is due.
    fn pass(&mut self, time: Duration, kernel: &Kernel) {
        let end = self.now + time;
        while self.verdict.is_none() && self.next_look <= end {
            self.now = self.next_look;
            self.look(kernel);
        }
        self.now = end;
    }
}

/// Longest time between two looks.
const MAX_GAP: Duration = Duration::from_secs(5);

fn change() -> impl Strategy<Value = Change> {
    let which = 0..8_usize;
    prop_oneof![
        1 => (which.clone(), any::<bool>()).prop_map(|(of, known)| Change::Fork(of, known)),
        4 => which.clone().prop_map(Change::Depart),
        4 => which.clone().prop_map(Change::Exit),
        4 => which.clone().prop_map(Change::Reap),
        1 => which.clone().prop_map(Change::Migrate),
        1 => which.prop_map(Change::Return),
        2 => Just(Change::Remove),
    ]
}

const RELIABILITIES: &[Reliability] = {
    use Reliability::{Full, Lossy, Low, Notified};
    &[Full, Lossy, Low, Notified]
};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => change().prop_map(Step::Kernel),
        2 => any::<bool>().prop_map(Step::Arrive),
        2 => Just(Step::Lose),
        1 => Just(Step::Spurious),
        1 => select(RELIABILITIES).prop_map(Step::Reliability),
        2 => (0..8000_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// `Wait::look` asserts that each verdict is right.
    #[test]
    fn no_sequence_of_events_causes_a_wrong_verdict(
        until in select(&Until::ALL[..]),
        count in 0..4_usize,
        steps in vec(step(), 0..60),
    ) {
        let mut kernel = Kernel::new(count);
        let mut wait = Wait::arm(until, &kernel);
        for step in &steps {
            if wait.verdict.is_some() {
                break;
            }
            wait.apply(step, &mut kernel);
        }
    }

    #[test]
    fn the_timer_ends_every_wait_if_the_last_events_are_lost(
        until in select(&Until::ALL[..]),
        count in 0..4_usize,
        steps in vec(step(), 0..60),
        order in Just((0..3_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut kernel = Kernel::new(count);
        let mut wait = Wait::arm(until, &kernel);
        for step in &steps {
            wait.apply(step, &mut kernel);
            if wait.verdict.is_some() {
                return Ok(());
            }
        }
        for of in 0..kernel.processes.len() {
            let end = [Change::Depart(of), Change::Exit(of), Change::Reap(of)];
            for &index in &order {
                kernel.apply(&end[index]);
            }
            // Applies the changes that were impossible in the random order.
            for change in &end {
                kernel.apply(change);
            }
        }
        kernel.apply(&Change::Remove);
        wait.pass(MAX_GAP, &kernel);
        prop_assert!(wait.verdict.is_some(), "{until:?} in {kernel:?}");
    }

    #[test]
    fn any_sequence_of_reliabilities_has_bounded_delays(
        reliabilities in vec(select(RELIABILITIES), 1..300),
    ) {
        let mut backoff = Backoff::default();
        for reliability in reliabilities {
            let delay = backoff.next_delay(reliability);
            prop_assert!(!delay.is_zero() && delay <= MAX_GAP);
            if reliability == Reliability::Lossy {
                prop_assert!(delay <= Duration::from_millis(20));
            }
        }
    }
}
