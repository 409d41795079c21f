//! Races between the waits of one program, and with the BPF programs.

use std::{pin::pin, time::Duration};

use probe_tests::{Cgroup, Deadline, Victim, scale};
use probe_user::{
    model::Filter,
    unstable::{
        bpf::{hook::Hook, load::Plan},
        wait::{Wait, WokenBy},
    },
};
use rustix::process::Signal;

use super::{arm, block_on, in_time, joined, met};

/// Looks once, and asserts that the condition of the wait does not hold yet.
async fn assert_pending(wait: &mut Wait) {
    let met = tokio::time::timeout(Duration::ZERO, pin!(wait.met())).await;
    assert!(met.is_err(), "{met:?}");
}

/// Number of rounds. Each round uses a v2 cgroup and a v1 cgroup.
const ROUNDS: usize = 4;

#[test]
#[ignore = "needs root"]
fn dropping_a_wait_takes_no_wake_up_from_another_on_the_same_cgroup() {
    block_on(async {
        let (hub, _stream) = joined(Plan::decisive()).await;
        let mut by_timer = 0;
        let cgroups = [(); ROUNDS].map(|()| Cgroup::both("shared"));
        for (cgroup, mut victim) in cgroups.into_iter().flatten().map(Victim::inside) {
            let mut waits = [(); 3].map(|()| arm(&hub, &cgroup));
            for wait in &mut waits {
                assert_pending(wait).await;
            }
            let [first, mut second, third] = waits;
            drop(first);
            drop(third);
            // Arming another wait drops the watches that are not used any more.
            drop(arm(&hub, &cgroup));
            assert_pending(&mut second).await;
            victim.signal(Signal::KILL);
            let met = met(&mut second).await;
            by_timer += usize::from(met.woken_by == Some(WokenBy::Timer));
            victim.wait();
        }
        // On an emulated machine the timer may come first now and then.
        let most = scale::emulated_or(ROUNDS - 1, 0);
        assert!(by_timer <= most, "the timer was first {by_timer} times");
    });
}

/// Exits in a ring that holds two dozen of them and is not read.
fn crowded() -> Plan {
    let mut plan = Plan::decisive();
    plan.hooks.extend(Hook::EXITS);
    plan.filter = Filter::default().kernel_filter(plan.stream_bytes);
    plan
}

#[test]
#[ignore = "needs root"]
fn an_overflow_of_the_exit_stream_takes_no_wake_up_from_a_wait() {
    block_on(async {
        assert_eq!(crowded().stream_bytes, 4096);
        let (hub, _unread) = joined(crowded()).await;
        let (mut rounds, mut by_ring) = (0, 0);
        let least = scale::rounds(5);
        // The timer may come first, but not always; in an emulated machine it often does.
        let most = scale::emulated_or(50, least);
        while rounds < least || by_ring == 0 {
            assert!(rounds < most, "the decisive ring never woke the wait");
            rounds += 1;
            // v1 has no cgroup.events: only the ring and the timer wake the wait.
            let cgroup = Cgroup::v1("pids", "storm");
            let mut storm = Victim::start(&["siblings", "300", "pause"], Some(&cgroup));
            let is_complete = || cgroup.procs().len() == 301;
            Deadline::start().until("all 301 processes are there", is_complete);
            let mut wait = arm(&hub, &cgroup);
            assert_pending(&mut wait).await;
            let losses = || hub.stream_losses().expect("BPF has joined").dropped;
            let dropped = losses();
            cgroup.kill();
            let met = met(&mut wait).await;
            let removed = std::fs::remove_dir(cgroup.path());
            removed.unwrap_or_else(|error| panic!("{error} right after {met:?}"));
            let lost = losses() - dropped;
            assert_ne!(lost, 0, "the stream did not overflow");
            by_ring += u32::from(met.woken_by == Some(WokenBy::Ring));
            storm.wait();
        }
    });
}

/// More records than the decisive ring holds, while it is not read, and then the record
/// that a wait needs. On v1 no `cgroup.events` reports it either.
#[test]
#[ignore = "needs root"]
fn the_timer_makes_up_for_a_lost_record_of_the_decisive_ring() {
    /// Each makes two records of 48 bytes and 8 of a header: more than 64 KiB.
    const MOVES: usize = 700;
    block_on(async {
        let (hub, _stream) = joined(Plan::decisive()).await;
        let parent = Cgroup::v1("pids", "lost");
        let busy = ["one", "two"].map(|name| parent.sub(name));
        let cgroup = parent.sub("last");
        let restless = Victim::paused(&busy[0]);
        let mut victim = Victim::paused(&cgroup);
        let _watched = busy.each_ref().map(|it| arm(&hub, it));
        let mut wait = arm(&hub, &cgroup);
        let mut asleep = pin!(met(&mut wait));
        tokio::select! {
            biased;
            met = &mut asleep => panic!("{met:?}"),
            () = std::future::ready(()) => {}
        }
        // The ring is not read before the next await.
        for _ in 0..MOVES {
            busy[1].add(restless.pid());
            busy[0].add(restless.pid());
        }
        victim.kill();
        assert_eq!(asleep.await.woken_by, Some(WokenBy::Timer));
    });
}

#[test]
#[ignore = "needs root"]
fn waits_outlive_the_hub_that_armed_them() {
    block_on(async {
        for (cgroup, mut victim) in Cgroup::both("hub").map(Victim::inside) {
            let (hub, _stream) = joined(Plan::decisive()).await;
            let mut wait = arm(&hub, &cgroup);
            assert_pending(&mut wait).await;
            drop(hub);
            victim.signal(Signal::KILL);
            met(&mut wait).await;
            victim.wait();
        }
    });
}

/// On v2 `cgroup.events` wakes the wait, on v1 the timer does.
#[test]
#[ignore = "needs root"]
fn waits_outlive_the_reader_of_the_ring() {
    block_on(async {
        let wakers = [[WokenBy::Events, WokenBy::Timer], [WokenBy::Timer; 2]];
        for (cgroup, wakers) in Cgroup::both("reader").into_iter().zip(wakers) {
            let (cgroup, mut victim) = Victim::inside(cgroup);
            let (hub, _stream) = joined(Plan::decisive()).await;
            let mut wait = arm(&hub, &cgroup);
            // A single call of `met`, because a second one would look first, and might find
            // the cgroup empty.
            let mut met = pin!(wait.met());
            let pending = tokio::time::timeout(Duration::ZERO, met.as_mut()).await;
            assert!(pending.is_err(), "{pending:?}");
            hub.fail_ring_reader();
            while hub.has_bpf() {
                tokio::task::yield_now().await;
            }
            victim.signal(Signal::KILL);
            let met = in_time(met).await.expect("the state is readable");
            let is_right = met.woken_by.is_some_and(|by| wakers.contains(&by));
            assert!(is_right, "{met:?}");
            victim.wait();
        }
    });
}
