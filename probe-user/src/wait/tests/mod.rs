//! The pure core against a small kernel: processes that exit, leave their
//! cgroup, fork and are reaped, and events of it that come in any order, twice,
//! late or never.

mod kernel;

use std::time::Duration;

use proptest::prelude::*;

use self::kernel::{Change, Kernel};
use super::{
    backoff::{Backoff, Doubt},
    condition::{Answer, Facts},
};
use crate::model::{CgroupState, ProcessState, Until};

/// What happens between the kernel and the wait.
#[derive(Clone, Debug)]
enum Step {
    Kernel(Change),
    /// An event arrives: which, and how late, makes no difference to who only
    /// looks. `true`: it will arrive once more.
    Arrive(bool),
    Lose,
    /// A wake-up for nothing.
    Spurious,
    Doubt(Doubt),
    Pass(u64),
}

/// A wait as `crate::wait` runs it, without the files.
struct Wait {
    until: Until,
    now: Duration,
    looked_at: Duration,
    next_look: Duration,
    backoff: Backoff,
    doubt: Doubt,
    /// Events on their way: that they are there is all they say.
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
            backoff: Backoff::new(),
            doubt: Doubt::Always,
            pending: 0,
            verdict: None,
        };
        wait.look(kernel);
        wait
    }

    fn look(&mut self, kernel: &Kernel) {
        let gap = self.now.saturating_sub(self.looked_at);
        assert!(gap <= MOST, "nobody looked for {gap:?}");
        self.looked_at = self.now;
        let delay = self.backoff.next_delay(self.doubt);
        assert!(!delay.is_zero(), "a timer that never rests");
        self.next_look = self.now + delay;
        let mut answer = kernel.facts(false).satisfy(self.until);
        if answer == (Answer::Yes { exact: false }) {
            answer = kernel.facts(true).satisfy(self.until);
        }
        if let Answer::Yes { exact } = answer {
            assert!(
                kernel.is_so(self.until, exact),
                "{:?} is not so: {kernel:?}",
                self.until
            );
            self.verdict = Some(answer);
        } else {
            // That no verdict is withheld is what `none_is_left` is about.
            assert!(!kernel.is_so(self.until, true), "withheld: {kernel:?}");
        }
    }

    fn take(&mut self, step: &Step, kernel: &mut Kernel) {
        match step {
            Step::Kernel(change) => self.pending += usize::from(kernel.apply(change)),
            Step::Arrive(_) | Step::Lose if self.pending == 0 => {}
            Step::Arrive(again) => {
                self.pending -= usize::from(!again);
                self.look(kernel);
            }
            Step::Lose => self.pending -= 1,
            Step::Spurious => self.look(kernel),
            Step::Doubt(doubt) => {
                self.doubt = *doubt;
                self.backoff = Backoff::new();
                self.look(kernel);
            }
            Step::Pass(milliseconds) => {
                self.pass(Duration::from_millis(*milliseconds), kernel);
            }
        }
    }

    /// The timer rings as often as it is due.
    fn pass(&mut self, time: Duration, kernel: &Kernel) {
        let end = self.now + time;
        while self.verdict.is_none() && self.next_look <= end {
            self.now = self.next_look;
            self.look(kernel);
        }
        self.now = end;
    }
}

/// The longest that a wait may be left alone.
const MOST: Duration = Duration::from_secs(5);

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

fn doubt() -> impl Strategy<Value = Doubt> {
    prop_oneof![
        Just(Doubt::None),
        Just(Doubt::Some),
        Just(Doubt::Late),
        Just(Doubt::Always)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => change().prop_map(Step::Kernel),
        2 => any::<bool>().prop_map(Step::Arrive),
        2 => Just(Step::Lose),
        1 => Just(Step::Spurious),
        1 => doubt().prop_map(Step::Doubt),
        2 => (0..8000_u64).prop_map(Step::Pass),
    ]
}

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![
        Just(Until::Exited),
        Just(Until::Reaped),
        Just(Until::Empty),
        Just(Until::Stopped),
        Just(Until::Removed)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The look itself asserts it: after every wake-up, whatever caused it.
    #[test]
    fn no_sequence_gives_a_verdict_that_the_level_denies(
        until in until(),
        count in 0..4_usize,
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut kernel = Kernel::new(count);
        let mut wait = Wait::arm(until, &kernel);
        for step in &steps {
            if wait.verdict.is_some() {
                break;
            }
            wait.take(step, &mut kernel);
        }
    }

    /// All events of the end are lost: the timer alone is left.
    #[test]
    fn none_is_left_that_the_timer_does_not_end(
        until in until(),
        count in 0..4_usize,
        steps in proptest::collection::vec(step(), 0..60),
        order in Just((0..3_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut kernel = Kernel::new(count);
        let mut wait = Wait::arm(until, &kernel);
        for step in &steps {
            wait.take(step, &mut kernel);
            if wait.verdict.is_some() {
                return Ok(());
            }
        }
        for of in 0..kernel.processes.len() {
            let end = [Change::Depart(of), Change::Exit(of), Change::Reap(of)];
            for &index in &order {
                kernel.apply(&end[index]);
            }
            // What another order left undone.
            for change in &end {
                kernel.apply(change);
            }
        }
        kernel.apply(&Change::Remove);
        wait.pass(MOST, &kernel);
        prop_assert!(wait.verdict.is_some(), "{until:?} in {kernel:?}");
    }

    /// However often somebody is woken for nothing, or the doubt changes.
    #[test]
    fn whatever_is_doubted_somebody_looks_again_soon(
        doubts in proptest::collection::vec(doubt(), 1..300),
    ) {
        let mut backoff = Backoff::new();
        for doubt in doubts {
            let delay = backoff.next_delay(doubt);
            prop_assert!(!delay.is_zero() && delay <= MOST);
            if doubt == Doubt::Some {
                prop_assert!(delay <= Duration::from_millis(20));
            }
        }
    }
}
